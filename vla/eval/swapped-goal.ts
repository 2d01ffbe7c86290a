import type { EpisodeStart, LiberoEnv, StepOutcome, StepResult, Times } from "../libero/env.ts";
import type { Predicate } from "../libero/predicates.ts";
import type { Term } from "../libero/scene.ts";
import type { Observation } from "../observation.ts";
import type { Stage } from "./rollout.ts";

/** A stage on which another goal of the scene counts as success; the environment's own is watched. */
export class SwappedGoal implements Stage {
  readonly terms: readonly Term[];
  readonly #env: LiberoEnv;
  readonly #goal: readonly Predicate[];
  #toldHolds = false;
  #ownHeld = false;

  /** @throws EnvError for a goal that the scene cannot decide. */
  constructor(env: LiberoEnv, goal: readonly Term[]) {
    this.terms = goal;
    this.#env = env;
    this.#goal = goal.map((term) => env.predicates.compile(term));
  }

  /** Whether the goal holds now, and whether the environment's own has held at any time since the start. */
  get held(): { readonly toldGoal: boolean; readonly otherGoal: boolean } {
    return { toldGoal: this.#toldHolds, otherGoal: this.#ownHeld };
  }

  start(start: EpisodeStart): StepOutcome {
    this.#toldHolds = false;
    this.#ownHeld = false;
    return this.#judge(this.#env.start(start));
  }

  step(action: ArrayLike<number>): StepResult {
    const result = this.#env.step(action);
    return { ...result, ...this.#judge(result) };
  }

  advance(action: ArrayLike<number>): StepOutcome {
    return this.#judge(this.#env.advance(action));
  }

  observe(): Observation {
    return this.#env.observe();
  }

  get times(): Times {
    return this.#env.times;
  }

  trajectoryHash(): string {
    return this.#env.trajectoryHash();
  }

  #judge(own: StepOutcome): StepOutcome {
    this.#ownHeld ||= own.success;
    const held = this.#goal.map((holds) => holds());
    this.#toldHolds = held.every(Boolean);
    return { success: this.#toldHolds, held };
  }
}
