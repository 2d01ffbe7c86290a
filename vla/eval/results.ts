import type { SamplingConfig } from "../checkpoint.ts";

/** `error` says that the policy broke: it threw, or planned something that is no action. It never counts as a failure. */
export type Outcome = "success" | "failure" | "error";

/** One finished episode. */
export interface EpisodeResult {
  /** Index of the stored initial state. */
  readonly init: number;
  /** Seed the policy got for this episode. */
  readonly policySeed: number;
  readonly outcome: Outcome;
  /** Why, when the outcome is `error`. */
  readonly error?: string;
  /** Control steps of the policy; the settle steps before it do not count. */
  readonly steps: number;
  /** Hash over the simulator's float64 positions, one after each control step: equal runs have equal hashes. */
  readonly trajectoryHash: string;
  readonly policyCalls: number;
  /** Mean time per policy call, milliseconds; null without a call. */
  readonly policyMs: number | null;
  /** Mean times per control step, milliseconds. */
  readonly simMs: number;
  readonly renderMs: number;
  /** log p(chunk | seen) of each of the policy's plans, nats, where it was asked for. */
  readonly logProbs?: readonly number[];
}

export interface TaskResult {
  readonly task: string;
  readonly instruction: string;
  readonly episodes: readonly EpisodeResult[];
}

/** What produced the numbers, printed with them. */
export interface Engine {
  readonly node: string;
  readonly mujoco: string;
  /** Which MuJoCo's contacts the simulation reproduces. */
  readonly contacts: string;
  /** Whether the policy's kernels round a product and a sum once (fused multiply-add) or twice: last digits differ. */
  readonly fma: boolean;
}

/** Everything about a run but its tasks. */
export interface RunInfo {
  readonly suite: string;
  readonly policy: string;
  readonly untrained: boolean;
  readonly seed: number;
  readonly protocol: string;
  /** Side of the pictures that were drawn, pixels. */
  readonly cameraSize: number;
  /** How the policy sampled, where it does: as its checkpoint says, or as the run was told. */
  readonly sampling?: SamplingConfig;
  readonly engine: Engine;
}

export interface Results extends RunInfo {
  /** False while the run goes on, and for ever when it was interrupted or broke off. */
  readonly complete: boolean;
  readonly tasks: readonly TaskResult[];
}

/** One finished episode as a line that stands for itself: with the run's settings, and with the actions that were executed. */
export interface EpisodeLine extends RunInfo, EpisodeResult {
  readonly task: string;
  readonly instruction: string;
  /** Settle steps not included, so that `--policy replay` can play them again. */
  readonly actions: readonly (readonly number[])[];
}
