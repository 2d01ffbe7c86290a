import type { WeightFormat } from "../../core/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { DeviceInfo } from "../device-info.ts";
import type { LanguageChange } from "../perturb/language.ts";
import type { StageChange } from "../perturb/stage.ts";

/**
 * `error` says that the policy or the simulator broke, twice, or that there is no sound start as hard as was asked for. It
 * never counts as a failure.
 */
export type Outcome = "success" | "failure" | "error";

/** An episode that was played with the words of another task of its scene. */
export interface SwappedWords {
  /** The task whose words the policy was given, and those words. */
  readonly told: string;
  readonly instruction: string;
  /** Whether the goal of that task came to hold, which ends the episode as a success. */
  readonly toldGoal: boolean;
  /** Whether the goal of the start's own task, of which nothing was said, held after any step. */
  readonly otherGoal: boolean;
}

/** How an episode was made harder than the suite has it: `camera:3`, and what came of it by dimension. */
export interface PerturbedEpisode extends StageChange {
  readonly levels: string;
  readonly language?: LanguageChange;
}

/** What came of an episode: the same whenever and wherever it is played. */
export interface EpisodeOutcome {
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
  /** What the task says of where things are and does not hold once they have settled; see libero/premises.ts. */
  readonly lostPremises?: readonly string[];
  /** log p(chunk | seen) of each of the policy's chunks, nats, where it was asked for. */
  readonly logProbs?: readonly number[];
  /** With `--swap-words` alone. */
  readonly swapped?: SwappedWords;
  /** With `--perturb` and `--robustness` alone. */
  readonly perturbed?: PerturbedEpisode;
}

/** How long an episode took; null where nothing was measured. */
export interface EpisodeTiming {
  /** Mean time per policy call, milliseconds. */
  readonly policyMs: number | null;
  /** Mean times per control step, milliseconds. */
  readonly simMs: number | null;
  readonly renderMs: number | null;
  /** Control steps per second from the first query on, waiting for the policy included. */
  readonly controlHz: number | null;
}

/** Of an episode that was not timed. */
export const UNTIMED: EpisodeTiming = { policyMs: null, simMs: null, renderMs: null, controlHz: null };

/** One finished episode. */
export interface EpisodeResult extends EpisodeOutcome, EpisodeTiming {}

export interface TaskResult {
  readonly task: string;
  /** The task's own; with `--swap-words` each episode has another one. */
  readonly instruction: string;
  /** How its episodes were made harder, where they were. */
  readonly perturb?: string;
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
  /** Actions of each chunk that played while the next one was made. */
  readonly overlap: number;
  /** Whether each start was played with the words, and for the goal, of another task of its scene. */
  readonly swapWords: boolean;
  /** How every episode was made harder, `camera:3`, where it was. */
  readonly perturb?: string;
  /** Which of dimensions and levels were played in turn, as the run was told, where they were. */
  readonly robustness?: string;
  /** Side of the pictures that were drawn, pixels. */
  readonly cameraSize: number;
  /** How the policy sampled, where it does: as its checkpoint says, or as the run was told. */
  readonly sampling?: SamplingConfig;
  /** Where the policy computes, if it does. */
  readonly device?: DeviceInfo;
  /** What the weights of the policy's encoder were kept as, if it has one. */
  readonly weights?: WeightFormat;
  readonly engine: Engine;
}

export interface Results extends RunInfo {
  /** False while the run goes on, and for ever when it was interrupted or broke off. */
  readonly complete: boolean;
  readonly tasks: readonly TaskResult[];
}

/** What happened step by step, beside the actions. */
export interface Trace {
  /** Distance between the fingers after each control step, metres. */
  readonly gripper: readonly number[];
  /** The goal's terms, and the control steps, from the first to the last, in which each of them held. */
  readonly goal: readonly { readonly term: string; readonly held: readonly Span[] }[];
}

/** The first and the last of some steps that follow each other, counted from 1. */
export type Span = readonly [first: number, last: number];

/**
 * One finished episode as a line that stands for itself: with the run's settings, and with the actions that were
 * executed.
 */
export interface EpisodeLine extends RunInfo, EpisodeOutcome {
  readonly task: string;
  /** What the policy was told. */
  readonly instruction: string;
  /** Settle steps not included, so that `--policy replay` can play them again. */
  readonly actions: readonly (readonly number[])[];
  readonly trace?: Trace;
}

/** How long the episode of a line took. */
export interface TimingLine extends EpisodeTiming {
  readonly task: string;
  readonly perturb?: string;
  readonly init: number;
  /** Why it was played a second time, where it was. */
  readonly retried?: string;
}
