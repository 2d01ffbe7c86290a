import type { SamplingConfig } from "../checkpoint.ts";
import type { DeviceInfo } from "../device-info.ts";
import type { Contacts } from "../libero/contacts.ts";
import type { Protocol } from "../libero/protocols.ts";
import type { Policy } from "./policy.ts";

/** What makes an episode this one and no other, the policy's weights apart. */
export interface EpisodeKey {
  readonly suite: string;
  readonly task: string;
  /** The task whose words and goal it is played with: as a rule the same. */
  readonly told: string;
  /** What the policy is told. */
  readonly instruction: string;
  /** Index of the stored initial state. */
  readonly init: number;
  /** The run's seed: places the fixtures. */
  readonly seed: number;
  /** How long the robot settles before the policy acts, and how much of a chunk is executed. */
  readonly protocol: Pick<Protocol, "name" | "actionsPerQuery">;
  /** Whose contacts the simulator reproduces, and its version: the same actions move objects differently in another. */
  readonly contacts: Contacts;
  readonly mujoco: string;
  /** How it is made harder, as `showLevels` has it; not at all unless given. */
  readonly perturb?: string;
}

/** Where the policies of a run come from: one set of weights, or one recording, for all its episodes. */
export interface PolicySource extends Partial<Disposable & AsyncDisposable> {
  /** Shown in results. */
  readonly name: string;
  /**
   * Tells it from others of its name: a digest of its weights, its recording or its code; absent where there is none of
   * these.
   */
  readonly digest?: string;
  /** True for weights that come from a random generator: the results then say so. */
  readonly untrained: boolean;
  /** Side of the pictures it is to be shown, pixels; null: as the protocol has it. */
  readonly cameraSize: number | null;
  /** How it samples, where it does. */
  readonly sampling?: SamplingConfig;
  /** Where it computes, if it does. */
  readonly device?: DeviceInfo;
  /** Whether its chunks can tell their log-probability. */
  readonly hasDensity: boolean;
  /**
   * A policy for this episode alone: others are played at the same time. Throws when there is none, or what it is to be
   * told is more than it can read.
   */
  forEpisode(episode: EpisodeKey): Policy;
}

/** Ends what a run's policies hold, however they have it ended. */
export async function endPolicies(source: PolicySource): Promise<void> {
  await (source[Symbol.asyncDispose] ?? source[Symbol.dispose])?.call(source);
}
