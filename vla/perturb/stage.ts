import type { Stage } from "../eval/rollout.ts";
import type { EpisodeStart, LiberoEnv, StepOutcome, StepResult, Times } from "../libero/env.ts";
import { Mt19937 } from "../libero/mt19937.ts";
import type { Observation } from "../observation.ts";
import { drawsOf, type EpisodeName } from "./draws.ts";
import type { Look, LookChange } from "./look.ts";
import { drawFault, type SensorFault, spoil } from "./noise.ts";
import type { PerturbedStart, StartChange } from "./start.ts";
import type { PerturbedTask } from "./task.ts";

/** What was changed in an episode's scene, start and pictures. */
export interface StageChange extends LookChange, Partial<StartChange> {
  readonly noise?: SensorFault;
}

/** A stage for one episode of a perturbed task: the environment with another look, another start, worse sensors. */
export class PerturbedStage implements Stage {
  readonly #env: LiberoEnv;
  readonly #task: PerturbedTask;
  readonly #look: Look;
  readonly #episode: EpisodeName;
  readonly #start: PerturbedStart | null;
  readonly #fault: SensorFault | null;
  #lookChange: LookChange = {};

  /**
   * @param env of the perturbed task's scene.
   * @param look of that environment, taken when it was opened.
   * @param start in place of the stored one, where the levels change it: see `findStart`.
   */
  constructor(
    env: LiberoEnv,
    task: PerturbedTask,
    look: Look,
    episode: EpisodeName,
    start: PerturbedStart | null,
  ) {
    this.#env = env;
    this.#task = task;
    this.#look = look;
    this.#episode = episode;
    this.#start = start;
    const { noise } = task.levels;
    this.#fault = noise ? drawFault(noise, drawsOf("noise", episode)) : null;
  }

  /** Complete from the start on. */
  get change(): StageChange {
    return {
      ...this.#start?.change,
      ...this.#lookChange,
      ...(this.#fault && { noise: this.#fault }),
    };
  }

  /** @param start of the task as its file has it; where that is perturbed, the perturbed one is taken instead. */
  start(start: EpisodeStart): StepOutcome {
    this.#lookChange = this.#look.wear(this.#task.levels, this.#episode);
    const { state, moved } = this.#start ?? start;
    return this.#env.start({ ...start, state, moved });
  }

  step(action: ArrayLike<number>): StepResult {
    const result = this.#env.step(action);
    return { ...result, observation: this.#seen(result.observation) };
  }

  advance(action: ArrayLike<number>): StepOutcome {
    return this.#env.advance(action);
  }

  observe(): Observation {
    return this.#seen(this.#env.observe());
  }

  get times(): Times {
    return this.#env.times;
  }

  trajectoryHash(): string {
    return this.#env.trajectoryHash();
  }

  /** As the sensors give it; the grain of a picture is a function of the step, however often it is looked at. */
  #seen(observation: Observation): Observation {
    const fault = this.#fault;
    if (!fault) return observation;
    const seed = drawsOf("noise", this.#episode, 1).uint32();
    const draws = (camera: number) => new Mt19937((seed + 2 * this.#env.steps + camera) >>> 0);
    return {
      ...observation,
      agentview_image: spoil(observation.agentview_image, fault, draws(0)),
      robot0_eye_in_hand_image: spoil(observation.robot0_eye_in_hand_image, fault, draws(1)),
    };
  }
}
