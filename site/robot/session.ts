import { cpu, type Device, GpuDevice, openDevice, Random } from "../../core/index.ts";
import { rollout } from "../../vla/eval/rollout.ts";
import { episodeSeed } from "../../vla/eval/seed.ts";
import { composeScene } from "../../vla/libero/compose/scene.ts";
import { LiberoEnv, type StepOutcome } from "../../vla/libero/env.ts";
import { readInitStates } from "../../vla/libero/init-states.ts";
import { MUJOCO_VERSION } from "../../vla/libero/mujoco.ts";
import { maxSteps, NINA } from "../../vla/libero/protocols.ts";
import { createRenderer, type Renderer } from "../../vla/libero/render/renderer.ts";
import type { SceneObject } from "../../vla/libero/scene.ts";
import { findTask, loadSuite, type Task } from "../../vla/libero/suites.ts";
import type { Image, Observation } from "../../vla/observation.ts";
import { ninaPolicy } from "../../vla/policies/nina.ts";
import type { Policy } from "../../vla/policies/policy.ts";
import type { PolicySource } from "../../vla/policies/source.ts";
import { type Camera, onPlane, type Vector } from "./camera.ts";
import { ROOTS } from "./files.ts";
import { Inspector, type Moment } from "./inspector.ts";
import type { Command, News, Picture, Point, TaskInfo } from "./messages.ts";

const SUITE = "mini";
const SEED = 0;
/** Of the pictures on the page, pixels; the policy has its own, smaller ones. */
const SIDES = { agentview: 320, robot0_eye_in_hand: 160 } as const;
/** A control step of the robot, milliseconds. */
const PERIOD = 50;
/** How far from the middle of the table things can be dragged, metres. */
const REACH: readonly [x: number, y: number] = [0.4, 0.5];

/** A start of a task that stands open. */
interface Opened {
  readonly task: Task;
  readonly init: number;
  readonly states: readonly Float64Array[];
  readonly env: LiberoEnv;
  readonly display: Readonly<Record<keyof typeof SIDES, Renderer>>;
  /** What draws the policy's pictures. */
  readonly eyes: Renderer;
  /** What can be dragged, by the id of its body. */
  readonly movable: ReadonlyMap<number, SceneObject>;
}

/** What is held with the mouse, and where it is to be. */
interface Held {
  readonly object: SceneObject;
  /** From the point that was grabbed to the body's own, in the plane. */
  readonly offset: readonly [dx: number, dy: number];
  readonly height: number;
  to: readonly [x: number, y: number];
}

/**
 * An evaluation's episode, played for somebody who watches: the same loop, policy and seeds as `vla/eval.ts`, so the same way,
 * bit for bit, as long as nobody touches anything. Between two control steps it waits until it may go on.
 */
export class Session {
  readonly #tell: (news: News) => void;
  readonly #suite = loadSuite(ROOTS.libero, SUITE);
  readonly #inspector = new Inspector(ROOTS.checkpoint);
  #device: Device = cpu;
  #policies: PolicySource;
  #opened: Opened | null = null;
  /** The episode that is played. */
  #episode: Promise<void> = Promise.resolve();
  /** What changes the episode is done one after the other. */
  #change: Promise<void> = Promise.resolve();
  #interrupted = false;

  #mode: "paused" | "paced" | "fast" = "paused";
  #steps = 0;
  /** Lets go on whoever waits for a command. */
  #wake: () => void = () => {};
  #due = 0;

  #words = "";
  #moments: Moment[] = [];
  #shown: number | null = null;
  #held: Held | null = null;
  /** Something was moved since the newest observation; since the start. */
  #moved = false;
  #touched = false;
  #policyMs = 0;
  #step = 0;
  #outcome: StepOutcome | null = null;

  constructor(tell: (news: News) => void) {
    this.#tell = tell;
    this.#policies = ninaPolicy(ROOTS.checkpoint);
  }

  get tasks(): TaskInfo[] {
    return this.#suite.tasks.map(({ name, instruction, initPath }) => ({
      name,
      instruction,
      starts: readInitStates(initPath).length,
    }));
  }

  /** @throws Error where a command cannot be done; the session can go on. */
  async do(command: Command): Promise<void> {
    switch (command.do) {
      case "open":
        return this.#inTurn(() => this.#open(command.task, command.init));
      case "compute":
        return this.#inTurn(() => this.#compute(command.device));
      case "play":
        this.#mode = command.paced ? "paced" : "fast";
        this.#due = performance.now();
        break;
      case "pause":
        this.#mode = "paused";
        break;
      case "step":
        this.#mode = "paused";
        this.#steps = 1;
        break;
      case "say":
        if (command.words !== this.#words) this.#touched = true;
        this.#words = command.words;
        break;
      case "grab":
        return this.#grab(command.at);
      case "drag":
        this.#drag(command.at);
        break;
      case "drop":
        this.#held = null;
        break;
      case "nudge":
        this.#nudge(command.object, command.by);
        break;
      case "inspect":
        this.#shown = command.chunk;
        return this.#inspect(command.chunk);
    }
    this.#wake();
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#change.then(change);
    this.#change = done.catch(() => {});
    return done;
  }

  /** Ends what is played. */
  async #end(): Promise<void> {
    this.#interrupted = true;
    this.#wake();
    await this.#episode;
    this.#interrupted = false;
    this.#held = null;
    this.#mode = "paused";
  }

  async #open(name: string, init: number): Promise<void> {
    await this.#end();
    if (this.#opened?.task.name !== name) {
      this.#opened?.env[Symbol.dispose]();
      this.#opened = null; // in case the next one cannot be opened
      this.#opened = await openTask(findTask(this.#suite, name), this.#policies.cameraSize!);
    }
    this.#begin({ ...this.#opened, init });
  }

  async #compute(device: string): Promise<void> {
    await this.#end();
    const [policies, before] = [this.#policies, this.#device];
    this.#device = await openDevice(device);
    this.#policies = ninaPolicy(ROOTS.checkpoint, {}, this.#device);
    policies[Symbol.dispose]?.();
    if (before instanceof GpuDevice) await before.close();
    if (this.#opened) this.#begin(this.#opened);
  }

  #begin(opened: Opened): void {
    const { task, movable } = opened;
    this.#opened = opened;
    this.#words = task.instruction;
    [this.#moments, this.#shown] = [[], null];
    [this.#moved, this.#touched] = [false, false];
    [this.#step, this.#steps, this.#policyMs, this.#outcome] = [0, 0, 0, null];
    this.#tell({
      is: "opened",
      instruction: task.instruction,
      maxSteps: maxSteps(NINA, SUITE),
      objects: [...movable.values()].map((object) => object.name),
    });
    this.#episode = this.#play(opened).catch((error: Error) => {
      this.#tell({ is: "broken", message: error.message });
    });
  }

  async #play({ env, task, init, states }: Opened): Promise<void> {
    const policySeed = episodeSeed(SEED, SUITE, task.name, init);
    const start = { init, state: states[init], seed: SEED, policySeed, instruction: task.instruction };
    const played = await rollout(env, this.#policy(task, init), start, NINA, maxSteps(NINA, SUITE), {
      interrupted: () => this.#interrupted,
      stepped: (step, outcome) => {
        this.#step = step;
        this.#outcome = outcome;
      },
      frame: async () => {
        this.#moved = false;
        this.#show();
        await this.#gate();
      },
    });
    if (!played) return;
    const { outcome, error, steps, trajectoryHash } = played.episode;
    this.#mode = "paused";
    this.#tell({ is: "ended", ended: { outcome, error, steps, trajectoryHash, touched: this.#touched } });
  }

  /** The policy, looked over the shoulder: told the page's words, shown what was moved behind its back. */
  #policy({ instruction, name: task }: Task, init: number): Policy {
    const policy = this.#policies.forEpisode({
      suite: SUITE,
      task,
      told: task,
      instruction,
      init,
      seed: SEED,
      protocol: NINA,
      contacts: "mujoco-2.3",
      mujoco: MUJOCO_VERSION,
    });
    let random = new Random(0);
    return {
      name: policy.name,
      reset(seed) {
        policy.reset(seed);
        random = new Random(seed);
      },
      act: async (newest) => {
        const asked = performance.now();
        const seen = this.#moved ? this.#look(newest) : newest;
        const words = this.#words;
        const chunk = await policy.act(seen, words, { logProb: true });
        this.#policyMs = performance.now() - asked;
        // The policy draws the same numbers.
        const noise = Float32Array.from(random.normals([this.#inspector.size]).data);
        const index = this.#moments.push({ seen, words, noise }) - 1;
        this.#tell({ is: "chunk", chunk: { index, step: this.#step, words, logProb: chunk.logProb! } });
        if (this.#shown === null) this.#inspect(index);
        return chunk;
      },
    };
  }

  #look(newest: Observation): Observation {
    const { eyes } = this.#opened!;
    const [agentview_image, robot0_eye_in_hand_image] = [
      eyes.render("agentview"),
      eyes.render("robot0_eye_in_hand"),
    ];
    return { ...newest, agentview_image, robot0_eye_in_hand_image };
  }

  /** Waits until the next control step may begin; meanwhile things can be moved. */
  async #gate(): Promise<void> {
    for (;;) {
      const pulled = this.#pull();
      if (this.#interrupted || this.#mode === "fast") return;
      if (this.#steps > 0) {
        this.#steps--;
        return;
      }
      if (pulled) this.#show();
      const wait = this.#mode === "paced" ? this.#due - performance.now() : Infinity;
      if (wait <= 0) {
        this.#due = Math.max(this.#due + PERIOD, performance.now());
        return;
      }
      await new Promise<void>((resolve) => {
        const timer = wait < Infinity ? setTimeout(resolve, wait) : undefined;
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #show(): void {
    const { display, env } = this.#opened!;
    const terms = env.scene.goal;
    const held = this.#outcome?.held ?? env.goal.map((holds) => holds());
    this.#tell({
      is: "seen",
      step: this.#step,
      agentview: upright(display.agentview.render("agentview")),
      wrist: upright(display.robot0_eye_in_hand.render("robot0_eye_in_hand")),
      goal: terms.map((term, i) => ({ term: term.join(" "), holds: held[i] })),
      cost: { simulate: env.times.simulate / Math.max(1, env.times.steps), policy: this.#policyMs },
    });
  }

  #inspect(index: number): void {
    const moment = this.#moments[index];
    if (moment) this.#tell({ is: "layers", layers: this.#inspector.layers(index, moment) });
  }

  #camera(): Camera {
    const { sim } = this.#opened!.env;
    const id = sim.id("camera", "agentview");
    return {
      eye: Array.from(sim.data.cam_xpos.subarray(3 * id, 3 * id + 3)) as unknown as Vector,
      axes: sim.data.cam_xmat.slice(9 * id, 9 * id + 9),
      fovy: sim.model.cam_fovy[id],
    };
  }

  #grab([x, y]: Point): void {
    const { env, display, movable } = this.#opened!;
    const side = SIDES.agentview;
    const [column, row] = [Math.floor(x * side), Math.floor((1 - y) * side)];
    const geom = display.agentview.geoms("agentview").get(row, column);
    const object = geom >= 0 ? movable.get(env.sim.model.geom_bodyid[geom]) : undefined;
    this.#tell({ is: "grabbed", object: object?.name ?? null });
    if (!object) return;
    const at = positionOf(env, object);
    const point = onPlane(this.#camera(), [x, y], at[2]);
    if (!point) return;
    this.#held = { object, offset: [at[0] - point[0], at[1] - point[1]], height: at[2], to: [at[0], at[1]] };
  }

  #drag(to: Point): void {
    if (!this.#held) return;
    const point = onPlane(this.#camera(), to, this.#held.height);
    if (!point) return;
    const { offset } = this.#held;
    this.#held.to = within([point[0] + offset[0], point[1] + offset[1]]);
  }

  #nudge(name: string, [dx, dy]: readonly [number, number]): void {
    const { env, movable } = this.#opened!;
    const object = [...movable.values()].find((one) => one.name === name);
    if (!object) return;
    const [x, y] = positionOf(env, object);
    this.#move(object, within([x + dx, y + dy]));
    if (this.#mode === "paused") this.#show();
  }

  /** Brings what is held to where the mouse is. @returns whether it was elsewhere. */
  #pull(): boolean {
    if (!this.#held) return false;
    const { object, to } = this.#held;
    const [x, y] = positionOf(this.#opened!.env, object);
    if (x === to[0] && y === to[1]) return false;
    this.#move(object, to);
    return true;
  }

  /** An object comes to rest elsewhere on its own height; poses follow, so that pictures show it. */
  #move({ joints: [joint] }: SceneObject, [x, y]: readonly [number, number]): void {
    const { sim } = this.#opened!.env;
    const { qpos, qvel } = sim.views;
    const [position, velocity] = [sim.qposAddress(joint), sim.dofAddress(joint)];
    qpos.set([x, y], position);
    qvel.fill(0, velocity, velocity + 6);
    sim.computeSights();
    [this.#moved, this.#touched] = [true, true];
  }
}

async function openTask(task: Task, policySide: number): Promise<Opened> {
  const scene = composeScene({ libero: ROOTS.libero, robosuite: ROOTS.robosuite, task });
  let eyes!: Renderer;
  const env = await LiberoEnv.open(scene, {
    renderer: (...model) => (eyes = createRenderer(...model)),
    imageSize: policySide,
  });
  const { mj, model, data } = env.sim;
  const draws = (side: number): Renderer => createRenderer(mj, model, data, { width: side, height: side });
  const movable = scene.objects.filter((object) => object.kind === "object");
  return {
    task,
    init: 0,
    env,
    eyes,
    states: readInitStates(task.initPath, scene.layout),
    display: { agentview: draws(SIDES.agentview), robot0_eye_in_hand: draws(SIDES.robot0_eye_in_hand) },
    movable: new Map(movable.map((object) => [env.sim.id("body", object.rootBody), object])),
  };
}

function positionOf({ sim }: LiberoEnv, { joints: [joint] }: SceneObject): Vector {
  const address = sim.qposAddress(joint);
  return Array.from(sim.views.qpos.subarray(address, address + 3)) as unknown as Vector;
}

const within = ([x, y]: readonly [number, number]): readonly [number, number] => [
  Math.min(REACH[0], Math.max(-REACH[0], x)),
  Math.min(REACH[1], Math.max(-REACH[1], y)),
];

/** As a page draws it: rows from the top, with an opacity. */
function upright({ data, shape: [side], stride: [row, column], offset }: Image): Picture {
  const pixels = new Uint8ClampedArray(4 * side * side);
  for (let y = 0, to = 0; y < side; y++) {
    for (let x = 0; x < side; x++, to += 4) {
      const from = offset + (side - 1 - y) * row + x * column;
      pixels[to] = data[from];
      pixels[to + 1] = data[from + 1];
      pixels[to + 2] = data[from + 2];
      pixels[to + 3] = 255;
    }
  }
  return { side, pixels };
}
