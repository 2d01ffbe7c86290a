/**
 * The simulator against the recordings of Python LIBERO on MuJoCo 3.14: `SUITE__NN` folders (free motion, restarts,
 * controller, observations, predicates), `expert/` (whole episodes), `settle_2.3.2.json` (where objects come to rest),
 * `.hdf5` files (demonstrations).
 *
 * Scenes of the folders are those they bring; expert episodes and settling use scenes composed here. Both read assets
 * from clones of LIBERO and robosuite.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { decode } from "fast-png";
import { readNumpy } from "../../core/index.ts";
import { composeScene } from "../../vla/libero/compose/scene.ts";
import { LiberoEnv, type RendererFactory } from "../../vla/libero/env.ts";
import { Predicates } from "../../vla/libero/predicates.ts";
import { createRenderer, type Renderer } from "../../vla/libero/render/renderer.ts";
import { ARM_JOINTS, FINGER_JOINTS } from "../../vla/libero/robot.ts";
import type { Scene, Term } from "../../vla/libero/scene.ts";
import { Sim } from "../../vla/libero/sim.ts";
import { findTask, loadSuite, type Task } from "../../vla/libero/suites.ts";
import type { Image } from "../../vla/observation.ts";
import { goldenScene, posesOf, type Roots } from "../vla/libero/golden-scene.ts";
import { compareWithPng } from "../vla/libero/render/golden-scene.ts";
import type { ParityCase, ParityOptions, ParityResult } from "./case.ts";
import { demonstrationFile } from "./libero-hdf5.ts";

/** All cases that the files in `dir` describe. Throws when a clone is missing. */
export async function cases(dir: string, clones: ParityOptions): Promise<ParityCase[]> {
  const roots = checkClones(clones);
  const found: ParityCase[] = [];
  for (const name of readdirSync(dir).sort()) {
    const path = join(dir, name);
    if (existsSync(join(path, "rollout.json"))) found.push(...taskCases(path, roots));
    else if (name === "expert") found.push(...expertCases(path, roots));
    else if (name === "settle_2.3.2.json") found.push(...settleCases(path, roots));
    else if (name.endsWith(".hdf5")) found.push({ name, kind: "hdf5", run: () => demonstrationFile(path) });
  }
  return found;
}

function checkClones({ libero, robosuite }: ParityOptions): Roots {
  if (!libero || !robosuite)
    throw new Error(
      "scenes are drawn with the assets of clones: name them with --libero and --robosuite, or in LIBERO_ROOT and ROBOSUITE_ROOT",
    );
  for (const [root, marker] of [
    [libero, "libero/libero/assets"],
    [robosuite, "robosuite/models/assets"],
  ])
    if (!existsSync(join(root, marker)))
      throw new Error(`expected ${marker} in ${root}, found no such folder`);
  return { libero, robosuite };
}

// ---------------------------------------------------------------------------------------------- recorded rollouts

interface Rollout {
  readonly qpos: number[][];
  readonly qvel: number[][];
  readonly time: number[];
  readonly actions: number[][];
  readonly obs: Record<string, number[]>[];
  readonly success: boolean[];
  readonly predicates: boolean[][];
  readonly reward: number[];
  readonly sample_substep: number[][];
}

interface Substep {
  readonly step: number;
  readonly qpos: number[];
  readonly torques: number[];
  readonly ctrl: number[];
  readonly goal_pos: number[];
  readonly goal_ori: number[][];
  readonly J_full?: number[][];
  readonly mass_matrix?: number[][];
}

/** The cases of one `SUITE__NN` folder. */
export function taskCases(folder: string, roots: Roots): ParityCase[] {
  const label = basename(folder);
  const rollout = onDemand(() => readJson<Rollout>(join(folder, "rollout.json")));
  const renderer: RendererFactory = (mj, model, data, size) =>
    createRenderer(mj, model, data, { ...size, compat: "mujoco-3.14" });
  const options = { contacts: "native", cacheFolder: null, renderer } as const;
  const open = () => shared(folder, () => LiberoEnv.open(goldenScene(folder, roots), options));
  const one = (kind: string, run: (env: LiberoEnv, rollout: Rollout) => ParityResult): ParityCase => ({
    name: label,
    kind,
    run: async () => run(await open(), rollout()),
  });
  const pictureCases = (
    names: RegExp,
    kind: string,
    compare: (env: LiberoEnv, rollout: Rollout, path: string) => ParityResult,
  ): ParityCase[] =>
    readdirSync(folder)
      .filter((file) => names.test(file))
      .map((file) => ({
        name: `${label}/${file}`,
        kind,
        run: async () => compare(await open(), rollout(), join(folder, file)),
      }));
  return [
    one("reset", (env) => afterReset(env, readJson(join(folder, "task.json")))),
    one("substeps", (env, r) => substeps(env, r, readJson(join(folder, "substeps.json")))),
    one("rollout", freeMotion),
    one("restart", restarts),
    one("observations", observations),
    one("predicates", predicates),
    ...pictureCases(PICTURE, "render", picture),
    ...pictureCases(DEPTH, "depth", depths),
    ...pictureCases(GEOMS, "geoms", geoms),
  ];
}

function start(env: LiberoEnv, { time, qpos, qvel }: Rollout): void {
  env.start({ seed: 0, state: [time[0], ...qpos[0], ...qvel[0]] });
}

interface AfterReset {
  readonly sites_rgba_after_reset: number[][];
  readonly controller_after_reset: { goal_pos: number[]; goal_ori: number[][] };
}

/** The controller's first reading and the hidden sites. */
function afterReset(env: LiberoEnv, task: AfterReset): ParityResult {
  env.reset({ seed: 0 });
  const { goal_pos, goal_ori } = task.controller_after_reset;
  return within(1e-12, [
    largest(env.controller.goalPosition, goal_pos),
    largest(env.controller.goalRotation, goal_ori.flat()),
    largest(env.sim.views.siteRgba, task.sites_rgba_after_reset.flat()),
  ]);
}

/** Torques (N m), goals, Jacobian, inertia and state at each of the first 75 substeps. */
function substeps(env: LiberoEnv, rollout: Rollout, recorded: Substep[]): ParityResult {
  start(env, rollout);
  const { sim, controller, gripper } = env;
  const errors: number[] = [];
  recorded.forEach((expected, i) => {
    const first = i === 0 || recorded[i - 1].step !== expected.step;
    const action = rollout.actions[expected.step];
    sim.step1();
    errors.push(largest(sim.views.qpos, expected.qpos));
    controller.drive(first ? action : null);
    gripper.drive(action[6]);
    errors.push(
      // Torques of tens of N m come out of products of numbers in the hundreds.
      largest(controller.torque, expected.torques) / 100,
      largest(sim.views.ctrl, expected.ctrl) / 100,
      largest(controller.goalPosition, expected.goal_pos),
      largest(controller.goalRotation, expected.goal_ori.flat()),
    );
    if (expected.J_full) errors.push(largest(controller.reading.jacobian, expected.J_full.flat()));
    if (expected.mass_matrix) errors.push(largest(controller.reading.inertia, expected.mass_matrix.flat()));
    sim.step2();
  });
  return within(1e-9, errors, `${recorded.length} substeps`);
}

/**
 * The whole rollout from its first state: all of qpos until something first touches something, the robot's as long
 * as it touches nothing. Contacts amplify the last digit, so nothing is asked of what follows them.
 */
function freeMotion(env: LiberoEnv, rollout: Rollout): ParityResult {
  start(env, rollout);
  const robot = [...ARM_JOINTS, ...FINGER_JOINTS].map((joint) => env.sim.qposAddress(joint));
  const isRobot = robotGeoms(env.sim);
  const errors: number[] = [];
  let contact = false;
  let compared = 0;
  for (const [t, action] of rollout.actions.entries()) {
    env.advance(action);
    contact ||= env.sim.data.ncon > 0;
    if (env.sim.touching(isRobot, 1, 0)) break;
    const { qpos } = env.sim.views;
    const expected = rollout.qpos[t + 1];
    if (!contact) errors.push(largest(qpos, expected));
    else
      errors.push(
        largest(
          robot.map((i) => qpos[i]),
          robot.map((i) => expected[i]),
        ),
      );
    compared++;
  }
  return within(1e-9, errors, `${compared} of ${rollout.actions.length} steps without robot contact`);
}

/** 1 for geoms of arm and gripper, 0 for others. */
function robotGeoms(sim: Sim): Int16Array {
  const groups = new Int16Array(sim.ngeom);
  const body: Int32Array = sim.model.geom_bodyid;
  const type = sim.mj.mjtObj.mjOBJ_BODY.value;
  for (let geom = 0; geom < sim.ngeom; geom++)
    groups[geom] = /^(robot0|gripper0)_/.test(sim.mj.mj_id2name(sim.model, type, body[geom])) ? 1 : 0;
  return groups;
}

/**
 * Runs every control step from the recorded state before it; visits the initial state and the state after each step.
 */
function stepwise(env: LiberoEnv, rollout: Rollout, visit: (entry: number, touched: boolean) => void): void {
  start(env, rollout);
  visit(0, env.sim.data.ncon > 0);
  for (const [t, action] of rollout.actions.entries()) {
    env.sim.views.qpos.set(rollout.qpos[t]);
    env.sim.views.qvel.set(rollout.qvel[t]);
    env.advance(action);
    visit(t + 1, env.sim.data.ncon > 0);
  }
}

function restarts(env: LiberoEnv, rollout: Rollout): ParityResult {
  const errors: number[] = [];
  stepwise(env, rollout, (entry) => {
    errors.push(largest(env.sim.views.qpos, rollout.qpos[entry]));
  });
  // The solver's warm start is no part of the state and shows in stiff contacts: up to 1e-3 in one step.
  return within(2e-3, errors, `median ${median(errors).toExponential(1)}`);
}

/**
 * Reads of each sample; in units of the tolerance: 1e-6 (float32 in the reference) free, 2e-3 once there are contacts.
 */
function observations(env: LiberoEnv, rollout: Rollout): ParityResult {
  const errors: number[] = [];
  const phases = new Set<number>();
  stepwise(env, rollout, (entry, touched) => {
    if (entry > 0) {
      phases.add(env.sampleSubstep);
      if (!rollout.sample_substep[entry - 1].includes(env.sampleSubstep))
        errors.push(Number.POSITIVE_INFINITY);
    }
    for (const [key, expected] of Object.entries(rollout.obs[entry])) {
      // Groups of observables joined to one vector, not observables of their own.
      if (key.endsWith("-state")) continue;
      // Contacts change velocities at once.
      if (touched && key.endsWith("vel")) continue;
      const got = env.readings[key];
      if (!got) throw new Error(`expected an observable ${key}, found none`);
      const error = key.endsWith("_quat")
        ? Math.min(
            largest(got, expected),
            largest(
              got.map((x) => -x),
              expected,
            ),
          )
        : largest(got, expected);
      errors.push(error / (touched ? 2e-3 : 1e-6));
    }
  });
  return within(1, errors, `sampled at substep ${[...phases].join(", ")}`);
}

/**
 * A camera at a state of the rollout, by itself (`CAMERA_STEP_SIZE.png`) or as the observation of that step (`obs_`).
 */
const PICTURE = /^(obs_)?(agentview|robot0_eye_in_hand)_(\d+)_(\d+)\.png$/;

/**
 * Root mean square difference in levels of 255; 1.8 is 43 dB, which edges alone do not reach and a wrong light does.
 */
function picture(env: LiberoEnv, rollout: Rollout, path: string): ParityResult {
  const [, observed, camera, step, size] = basename(path).match(PICTURE)!;
  start(env, rollout);
  let image: Image;
  if (observed) {
    for (const action of rollout.actions.slice(0, Number(step) - 1)) env.advance(action);
    const { observation } = env.step(rollout.actions[Number(step) - 1]);
    image = camera === "agentview" ? observation.agentview_image : observation.robot0_eye_in_hand_image;
  } else {
    image = rendererAt(env, rollout, Number(step), Number(size)).render(camera);
  }
  const { psnr, mean } = compareWithPng(image, path);
  return within(1.8, [255 / 10 ** (psnr / 20)], `${psnr.toFixed(1)} dB, mean ${mean.toFixed(2)}`);
}

/** Draws a state of the rollout. */
function rendererAt({ sim }: LiberoEnv, rollout: Rollout, step: number, size: number): Renderer {
  sim.views.qpos.set(rollout.qpos[step]);
  sim.views.qvel.set(rollout.qvel[step]);
  sim.forward();
  return createRenderer(sim.mj, sim.model, sim.data, { width: size, height: size, compat: "mujoco-3.14" });
}

const DEPTH = /^(agentview|robot0_eye_in_hand)_(\d+)_depth01mm\.png$/;
const GEOMS = /^(agentview|robot0_eye_in_hand)_(\d+)_geomid1\.png$/;

/**
 * Share of pixels whose depth is off by more than 1 mm, where the recording rounds to 0.1 mm and float32 depth buffers
 * to as much at three metres. Single pixels on edges may fall to the other side.
 */
function depths(env: LiberoEnv, rollout: Rollout, path: string): ParityResult {
  const [, camera, step] = basename(path).match(DEPTH)!;
  const { data, width, height } = decode(readFileSync(path));
  start(env, rollout);
  const seen = rendererAt(env, rollout, Number(step), width).depth(camera);
  let off = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const recorded = data[(height - 1 - y) * width + x] / 1e4;
      const metres = seen.get(y, x);
      if (Math.abs((metres === Number.POSITIVE_INFINITY ? 0 : metres) - recorded) > 1e-3) off++;
    }
  return within(0.002, [off / (width * height)], `${off} of ${width * height} pixels differ`);
}

/** Share of pixels that show another geom; those on edges may. */
function geoms(env: LiberoEnv, rollout: Rollout, path: string): ParityResult {
  const [, camera, step] = basename(path).match(GEOMS)!;
  const { data, width, height } = decode(readFileSync(path));
  start(env, rollout);
  const seen = rendererAt(env, rollout, Number(step), width).geoms(camera);
  let off = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (seen.get(y, x) + 1 !== data[(height - 1 - y) * width + x]) off++;
  return within(0.002, [off / (width * height)], `${off} of ${width * height} pixels differ`);
}

/** Number of goal terms, successes and rewards that differ. */
function predicates(env: LiberoEnv, rollout: Rollout): ParityResult {
  let wrong = 0;
  let held = 0;
  stepwise(env, rollout, (entry) => {
    const terms = env.goal.map((holds) => holds());
    const success = terms.every((term) => term);
    if (terms.join() !== rollout.predicates[entry].join()) wrong++;
    if (success !== rollout.success[entry] || Number(success) !== rollout.reward[entry]) wrong++;
    held += terms.filter((term) => term).length;
  });
  return { error: wrong, tolerance: 0, pass: wrong === 0, note: `${held} terms held` };
}

// ------------------------------------------------------------------------------------------------ whole episodes

interface Expert {
  readonly suite: string;
  readonly index: number;
  readonly init_index: number;
  readonly settle_steps: number;
  readonly fixture_poses: Parameters<typeof posesOf>[0];
  readonly actions: number[][];
  readonly states: number[][];
  readonly first_success_step: number;
}

function expertCases(folder: string, roots: Roots): ParityCase[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => ({
      name: `expert/${basename(file, ".json")}`,
      kind: "expert",
      run: () => replay(readJson(join(folder, file)), roots),
    }));
}

/** Steps between the success of the replay and that of the recording. */
async function replay(expert: Expert, roots: Roots): Promise<ParityResult> {
  const task = findTask(loadSuite(roots.libero, expert.suite), expert.index);
  const env = await shared(`${expert.suite}/${expert.index}`, () => {
    const poses = posesOf(expert.fixture_poses);
    const scene: Scene = { ...composeScene({ ...roots, task }), fixturePoses: () => poses };
    return LiberoEnv.open(scene, { contacts: "native", cacheFolder: null });
  });
  env.start({ seed: 0, state: initRow(task, expert.init_index) });
  for (let i = 0; i < expert.settle_steps; i++) env.advance([0, 0, 0, 0, 0, 0, 0]);

  const { nq } = env.sim;
  const settled = largest(env.sim.views.qpos, expert.states[0].slice(1, 1 + nq));
  const step = expert.actions.findIndex((action) => env.advance(action).success);
  return {
    error: step < 0 ? Number.POSITIVE_INFINITY : Math.abs(step - expert.first_success_step),
    tolerance: expert.actions.length,
    pass: step >= 0,
    note: `success at ${step}, recorded at ${expert.first_success_step}; ${settled.toExponential(1)} off after settling`,
  };
}

function initRow(task: Task, index: number): Float64Array {
  const { shape, data } = readNumpy(task.initPath);
  return data.subarray(index * shape[1], (index + 1) * shape[1]);
}

// ------------------------------------------------------------------------------------- settling as in MuJoCo 2.3

interface Settle {
  readonly tasks: Record<
    string,
    {
      readonly fixtures: { body: string; pos: number[]; quat: number[] }[];
      readonly rows: Record<
        string,
        {
          readonly objects: Record<string, { pos: number[]; quat: number[] }>;
          readonly init: { predicate: Term; holds: boolean }[];
        }
      >;
    }
  >;
}

/** In the order of the suites, where neighbours have the same scene and so compile it once. */
function settleCases(path: string, roots: Roots): ParityCase[] {
  const tasks = Object.entries(readJson<Settle>(path).tasks).map(([name, settle]) => {
    const [suite, index] = name.split("/");
    return { name, settle, suite, index: Number(index) };
  });
  tasks.sort((a, b) => a.suite.localeCompare(b.suite) || a.index - b.index);
  return tasks.map(({ name, settle, suite, index }) => ({
    name: `settle/${name}`,
    kind: "settle",
    run: async () => {
      const task = findTask(loadSuite(roots.libero, suite), index);
      const scene = composeScene({ ...roots, task });
      const options = { contacts: "mujoco-2.3", cacheFolder: null } as const;
      return settleTask(await shared(scene.mjcf, () => Sim.open(scene, options)), scene, task, settle);
    },
  }));
}

/**
 * Lets each initial state fall for half a second with the robot frozen. What rests on something in MuJoCo 2.3 has to
 * rest on it here: the error counts what does not. Single objects that start inside one another go where rounding
 * sends them, so one that ends more than 2 cm or 20° from where it rested there is told and not failed.
 */
function settleTask(sim: Sim, scene: Scene, task: Task, settle: Settle["tasks"][string]): ParityResult {
  const terms = new Predicates(scene, sim);
  const robot = [...ARM_JOINTS, ...FINGER_JOINTS];
  const positions = robot.map((joint) => sim.qposAddress(joint));
  const dofs = robot.map((joint) => sim.dofAddress(joint));
  const distances: number[] = [];
  const off: string[] = [];
  const broken: string[] = [];

  for (const [row, expected] of Object.entries(settle.rows)) {
    for (const { body, pos, quat } of settle.fixtures) {
      const id = sim.id("body", body);
      sim.views.modelBodyPos.set(pos, 3 * id);
      sim.views.modelBodyQuat.set(quat, 4 * id);
    }
    sim.resetData();
    const state = initRow(task, Number(row));
    const q0 = state.slice(1, 1 + sim.nq);
    const v0 = state.slice(1 + sim.nq);
    sim.views.qpos.set(q0);
    sim.views.qvel.set(v0);
    for (let substep = 0; substep < 250; substep++) {
      for (const i of positions) sim.views.qpos[i] = q0[i];
      for (const i of dofs) sim.views.qvel[i] = v0[i];
      sim.step1();
      sim.step2();
    }
    sim.forward();
    for (const [name, { pos, quat }] of Object.entries(expected.objects)) {
      const body = sim.id("body", `${name}_main`);
      const { bodyPos, bodyQuat } = sim.views;
      const distance = Math.hypot(...pos.map((x, i) => bodyPos[3 * body + i] - x));
      const dot = quat.reduce((sum, x, i) => sum + x * bodyQuat[4 * body + i], 0);
      const degrees = (2 * Math.acos(Math.min(1, Math.abs(dot))) * 180) / Math.PI;
      distances.push(distance);
      if (distance > 0.02 || degrees > 20) off.push(`${name} in row ${row}`);
    }
    for (const { predicate, holds } of expected.init)
      if (holds && !terms.compile(predicate)()) broken.push(`(${predicate.join(" ")}) in row ${row}`);
  }
  const notes = [
    `${(1000 * Math.max(...distances)).toFixed(1)} mm at most`,
    ...(broken.length > 0 ? [`broken: ${broken.join(", ")}`] : []),
    ...(off.length > 0 ? [`off: ${off.join(", ")}`] : []),
  ];
  return { error: broken.length, tolerance: 0, pass: broken.length === 0, note: notes.join("; ") };
}

// ------------------------------------------------------------------------------------------------------- helpers

let kept: { key: string; value: Promise<Disposable> } | undefined;

/** Cases of one scene run one after the other and share it; the next scene frees it. */
async function shared<T extends Disposable>(key: string, open: () => Promise<T>): Promise<T> {
  if (kept?.key !== key) {
    const last = kept;
    kept = { key, value: open() };
    // One that did not open failed its own cases; there is nothing to free.
    await last?.value.then(
      (value) => value[Symbol.dispose](),
      () => {},
    );
  }
  return kept.value as Promise<T>;
}

function within(tolerance: number, errors: number[], note?: string): ParityResult {
  const error = errors.reduce((worst, e) => (e > worst || Number.isNaN(e) ? e : worst), 0);
  return { error, tolerance, pass: errors.length > 0 && error <= tolerance, note };
}

/** Largest absolute difference; infinite when the lengths differ. */
function largest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (difference > worst || Number.isNaN(difference)) worst = difference;
  }
  return worst;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8"));
}

function onDemand<T extends object>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}
