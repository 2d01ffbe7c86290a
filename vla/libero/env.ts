import { Cache } from "../../core/index.ts";
import type { Observation } from "../observation.ts";
import { sha256 } from "../platform/node.ts";
import type { Digest } from "../platform/platform.ts";
import { OscPose } from "./controller.ts";
import { EnvError } from "./env-error.ts";
import { Gripper } from "./gripper.ts";
import type { MainModule, MjData, MjModel } from "./mujoco.ts";
import { Observables, type Readings, SamplingClock, SUBSTEPS } from "./observations.ts";
import { type Predicate, Predicates } from "./predicates.ts";
import type { Renderer } from "./render/renderer.ts";
import { ARM_JOINTS, ARM_MOTORS, FINGER_JOINTS, FINGER_SERVOS, GRIP_SITE, GRIPPER_PREFIX } from "./robot.ts";
import type { Scene } from "./scene.ts";
import { Sim, type SimOptions } from "./sim.ts";
import { stateFault } from "./state-layout.ts";

/** Control steps after a reset, settling included, that the reference allows. */
export const HORIZON = 1000;

/** What the environment needs of a renderer. */
export type CameraRenderer = Pick<Renderer, "render">;

/** Binds a renderer to a compiled model and its state; both outlive it. */
export type RendererFactory = (
  mj: MainModule,
  model: MjModel,
  data: MjData,
  options: { readonly width: number; readonly height: number; readonly cache: Cache },
) => CameraRenderer;

export interface LiberoEnvOptions extends SimOptions {
  /** Draws the two cameras; an environment without one can `advance` and cannot `step`. */
  readonly renderer?: RendererFactory;
  /** Side of the square pictures, pixels. Default 128, LIBERO's own. */
  readonly imageSize?: number;
}

/** Where an episode starts. */
export interface EpisodeStart {
  /** With the number of resets before, 0 unless given, it chooses where the fixtures stand. */
  readonly seed: number;
  readonly resets?: number;
  /** Fixtures that stand elsewhere than that, by name: how far in the plane, metres. */
  readonly moved?: ReadonlyMap<string, readonly [dx: number, dy: number]>;
  /** time, qpos, qvel: 1 + nq + nv numbers. */
  readonly state: ArrayLike<number>;
}

/** What became of a control step. */
export interface StepOutcome {
  /** All goal terms hold now. Never latched: a later step may lose it. */
  readonly success: boolean;
  /** Which of the goal's terms hold now, in their order. */
  readonly held: readonly boolean[];
}

export interface StepResult extends StepOutcome {
  /** The sample taken during the step, one or two substeps before its end. */
  readonly observation: Observation;
}

/** Where the time went since the environment was opened, milliseconds. */
export interface Times {
  readonly simulate: number;
  readonly render: number;
  readonly steps: number;
}

/**
 * LIBERO's simulated environment for one scene: a control step is an action of 7 numbers, carried out by the OSC_POSE
 * controller over 25 physics steps of 2 ms.
 *
 * An episode is a `start`, then steps; it is a pure function of the scene, their arguments and the actions, whatever
 * ran before. Free the environment with `using` or `[Symbol.dispose]()`.
 */
export class LiberoEnv implements Disposable {
  readonly scene: Scene;
  readonly sim: Sim;
  readonly controller: OscPose;
  readonly gripper: Gripper;
  readonly predicates: Predicates;
  /** The goal's terms, in order. */
  readonly goal: readonly Predicate[];

  readonly #makeRenderer: () => CameraRenderer | null;
  #renderer: CameraRenderer | null;
  readonly #observables: Observables;
  readonly #clock = new SamplingClock();
  readonly #armAddresses: readonly number[];
  readonly #fingerAddresses: readonly number[];
  /** Sites that a reset hides, with the alpha the model gives them. */
  readonly #hidden: readonly { site: number; alpha: number }[];
  readonly #burners: readonly { site: number; lit: Predicate }[];

  /** Broken: an error came in the middle of a start or a step, so only a start leads to a state again. */
  #phase: "opened" | "reset" | "running" | "broken" = "opened";
  #steps = 0;
  #sampleSubstep = 0;
  #readings: Readings | null = null;
  #observation: Observation | null = null;
  #trajectory: Digest = sha256();
  #simulateMs = 0;
  #renderMs = 0;
  #totalSteps = 0;

  private constructor(scene: Scene, sim: Sim, options: LiberoEnvOptions) {
    this.scene = scene;
    this.sim = sim;
    this.controller = new OscPose(sim, ARM_JOINTS, ARM_MOTORS, GRIP_SITE, scene.home.arm);
    this.gripper = new Gripper(sim, FINGER_SERVOS);
    this.predicates = new Predicates(scene, sim);
    // Every state fulfils an empty goal.
    if (scene.goal.length === 0) throw new EnvError("LiberoEnv", "a goal of at least one term", "none");
    this.goal = scene.goal.map((term) => this.predicates.compile(term));

    const size = options.imageSize ?? 128;
    const cache = new Cache(options.cacheFolder);
    this.#makeRenderer = () =>
      options.renderer?.(sim.mj, sim.model, sim.data, { width: size, height: size, cache }) ?? null;
    this.#renderer = this.#makeRenderer();
    this.#observables = new Observables(scene, sim);
    this.#armAddresses = ARM_JOINTS.map((joint) => sim.qposAddress(joint));
    this.#fingerAddresses = FINGER_JOINTS.map((joint) => sim.qposAddress(joint));

    const prefixes = [GRIPPER_PREFIX, ...scene.objects.map((object) => `${object.name}_`)];
    const { siteRgba } = sim.views;
    this.#hidden = sim
      .siteNames()
      .map((name, site) => ({ name, site, alpha: siteRgba[4 * site + 3] }))
      .filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
    this.#burners = scene.objects
      .filter((object) => object.stateSites.burner !== undefined)
      .map((object) => ({
        site: sim.id("site", object.stateSites.burner),
        lit: this.predicates.compile(["turnon", object.name]),
      }));
  }

  /** Compiles the scene (or takes it from the cache); call `start` next. */
  static async open(scene: Scene, options: LiberoEnvOptions = {}): Promise<LiberoEnv> {
    const sim = await Sim.open(scene, options);
    try {
      return new LiberoEnv(scene, sim, options);
    } catch (error) {
      sim[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.sim[Symbol.dispose]();
  }

  /**
   * Changes how the scene looks: what a renderer reads but once, such as lights, textures and fields of view. A new one
   * draws what follows. Call it before `start`.
   *
   * @param change writes to the model.
   */
  restyle(change: (sim: Sim) => void): void {
    change(this.sim);
    this.#renderer = this.#makeRenderer();
  }

  /**
   * Starts an episode: places the fixtures, forgets the last episode, rebuilds the controller at the home posture, and
   * sets the state, as a rule a row of the task's init file.
   *
   * @returns whether the goal holds in it.
   * @throws EnvError if the state cannot be one of the scene (see `stateFault`) or MuJoCo warns of it.
   */
  start({ state, ...place }: EpisodeStart): StepOutcome {
    const fault = stateFault(state, this.sim.layout);
    if (fault) throw new EnvError("LiberoEnv.start", fault.expected, fault.found);
    this.reset(place);
    return this.#setState(Float64Array.from(state));
  }

  /** The first half of a start, for those who arrange a state in the simulator before they start from it. */
  reset({ seed, resets = 0, moved }: Omit<EpisodeStart, "state">): void {
    const { sim } = this;
    const { modelBodyPos, modelBodyQuat, siteRgba } = sim.views;
    const poses = this.scene.fixturePoses(seed, resets);
    for (const object of this.scene.objects) {
      if (object.kind === "object") continue;
      const pose = poses.get(object.name);
      if (!pose) throw new EnvError("LiberoEnv.reset", `a pose of fixture "${object.name}"`, "none");
      const body = sim.id("body", object.rootBody);
      const [dx, dy] = moved?.get(object.name) ?? [0, 0];
      modelBodyPos.set([pose.pos[0] + dx, pose.pos[1] + dy, pose.pos[2]], 3 * body);
      modelBodyQuat.set(pose.quat, 4 * body);
    }
    for (const { site, alpha } of this.#hidden) siteRgba[4 * site + 3] = -alpha;

    sim.resetData();
    const { qpos } = sim.views;
    this.#armAddresses.forEach((address, i) => {
      qpos[address] = this.scene.home.arm[i];
    });
    // The reference builds its controller before it opens the fingers: they are at 0 here.
    sim.computePoses();
    this.controller.readHome();
    this.gripper.reset();
    this.#fingerAddresses.forEach((address, i) => {
      qpos[address] = this.scene.home.fingers[i];
    });

    this.#clock.reset();
    this.#clock.tick(true);
    this.#phase = "reset";
    this.#steps = 0;
    this.#readings = null;
    this.#observation = null;
    this.#trajectory = sha256();
  }

  #setState(state: Float64Array): StepOutcome {
    const { sim } = this;
    this.#phase = "broken";
    sim.data.time = state[0];
    sim.views.qpos.set(state.subarray(1, 1 + sim.nq));
    sim.views.qvel.set(state.subarray(1 + sim.nq));
    sim.forward();
    this.#requireSound("LiberoEnv.start");
    this.#lightBurners();
    this.#clock.tick(true);
    this.#readings = this.#observables.read();
    this.#phase = "running";
    return this.#outcome();
  }

  /**
   * One control step with the observation taken in it.
   *
   * @param action 7 numbers, clipped to [-1, 1] by the controller.
   * @throws EnvError for another length or a number that is not finite, before `start`, after 1000 steps,
   *   or when MuJoCo warns: of a state that blew up, of contacts left out.
   */
  step(action: ArrayLike<number>): StepResult {
    if (!this.#renderer)
      throw new EnvError("LiberoEnv.step", "an environment with a renderer", "none: use advance");
    const outcome = this.#run("LiberoEnv.step", action, true);
    return { ...outcome, observation: this.#observation! };
  }

  /** One control step without pictures, which cost more than the physics; otherwise as `step`. */
  advance(action: ArrayLike<number>): StepOutcome {
    return this.#run("LiberoEnv.advance", action, false);
  }

  /**
   * The newest observation: that of the last `step`, or of the state just set.
   *
   * @throws EnvError after `advance`, whose pictures were never drawn.
   */
  observe(): Observation {
    const who = "LiberoEnv.observe";
    if (!this.#renderer) throw new EnvError(who, "an environment with a renderer", "none");
    if (!this.#observation) {
      if (this.#phase !== "running") throw new EnvError(who, "an initial state", `none (${this.#phase})`);
      if (this.#steps > 0) throw new EnvError(who, "a state just set or a step", "an advance");
      this.#observation = this.#look(this.#renderer);
    }
    return this.#observation;
  }

  /** Everything observed but pictures, at the newest sample; see `Observables.read`. */
  get readings(): Readings {
    if (!this.#readings)
      throw new EnvError("LiberoEnv.readings", "an initial state", `none (${this.#phase})`);
    return this.#readings;
  }

  /** Substep of the last control step, 1 to 25, at which it was sampled. */
  get sampleSubstep(): number {
    return this.#sampleSubstep;
  }

  /** Control steps since the reset. */
  get steps(): number {
    return this.#steps;
  }

  get times(): Times {
    return { simulate: this.#simulateMs, render: this.#renderMs, steps: this.#totalSteps };
  }

  /** SHA-256 over qpos (float64, little-endian) after each control step of this episode so far, in hexadecimal. */
  trajectoryHash(): string {
    return this.#trajectory.copy().hex();
  }

  #run(who: string, action: ArrayLike<number>, look: boolean): StepOutcome {
    const { sim, controller, gripper } = this;
    if (this.#phase !== "running")
      throw new EnvError(who, "an initial state to start from", `none (${this.#phase})`);
    if (this.#steps >= HORIZON)
      throw new EnvError(who, `at most ${HORIZON} control steps after a reset`, "one more");
    if (action.length !== 7) throw new EnvError(who, "an action of 7 numbers", `${action.length}`);
    requireFinite(who, action);

    const started = performance.now();
    const renderedBefore = this.#renderMs;
    this.#phase = "broken";
    this.#observation = null;
    for (let substep = 1; substep <= SUBSTEPS; substep++) {
      sim.step1();
      controller.drive(substep === 1 ? action : null);
      gripper.drive(action[6]);
      sim.step2();
      if (!this.#clock.tick()) continue;
      // Joints are newer than poses and pictures here by one substep, as in the reference.
      this.#sampleSubstep = substep;
      this.#readings = this.#observables.read();
      if (look) this.#observation = this.#look(this.#renderer!);
    }
    this.#steps++;
    this.#totalSteps++;

    this.#requireSound(`${who} in control step ${this.#steps}`);
    this.#phase = "running";

    const { qpos } = sim.views;
    this.#trajectory.update(new Uint8Array(qpos.buffer, qpos.byteOffset, qpos.byteLength));
    const outcome = this.#outcome();
    this.#lightBurners();
    this.#simulateMs += performance.now() - started - (this.#renderMs - renderedBefore);
    return outcome;
  }

  #requireSound(who: string): void {
    const fault = this.sim.fault();
    if (fault === null) return;
    this.#readings = null;
    this.#observation = null;
    throw new EnvError(who, "a simulation without warnings", fault);
  }

  #outcome(): StepOutcome {
    const held = this.goal.map((holds) => holds());
    return { success: held.every(Boolean), held };
  }

  #look(renderer: CameraRenderer): Observation {
    const started = performance.now();
    const agentview_image = renderer.render("agentview");
    const robot0_eye_in_hand_image = renderer.render("robot0_eye_in_hand");
    this.#renderMs += performance.now() - started;
    const { robot0_joint_pos, robot0_eef_pos, robot0_eef_quat, robot0_gripper_qpos } = this.readings;
    return {
      agentview_image,
      robot0_eye_in_hand_image,
      robot0_joint_pos,
      robot0_eef_pos,
      robot0_eef_quat,
      robot0_gripper_qpos,
    };
  }

  /** A stove that is on shows a red disc. */
  #lightBurners(): void {
    const { siteRgba } = this.sim.views;
    for (const { site, lit } of this.#burners) siteRgba[4 * site + 3] = lit() ? 2 : -1;
  }
}

function requireFinite(who: string, numbers: ArrayLike<number>): void {
  for (let i = 0; i < numbers.length; i++)
    if (!Number.isFinite(numbers[i]))
      throw new EnvError(who, "finite numbers", `${numbers[i]} at index ${i}`);
}
