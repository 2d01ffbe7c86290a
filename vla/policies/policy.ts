import type { Observation } from "../observation.ts";

/** A chunk of actions, first one first, and what the policy knows about it. */
export interface ActionChunk {
  /**
   * Actions to execute one per control step, each 7 numbers: translation delta (3), rotation delta as an axis-angle
   * vector (3), gripper (1, negative opens, positive closes); in units of the OSC_POSE controller's range, [-1, 1].
   */
  readonly actions: readonly ArrayLike<number>[];
  /** log p(chunk | seen) in nats of all that was planned, where it was asked for and the policy has a density. */
  readonly logProb?: number;
  /** Its terms, in nats: log p(z) of the noise the chunk maps to, and log |det J| of each layer of the flow. */
  readonly logProbTerms?: { readonly base: number; readonly layers: readonly number[] };
}

/** What a chunk is to tell beside its actions. */
export interface ChunkRequest {
  /** log p(chunk | seen), which takes a second pass of the decoder. */
  readonly logProb?: boolean;
}

/** Anything that turns what the robot sees and is told into a chunk of actions. */
export interface Policy {
  /** Shown in results: the kind and what it was made from. */
  readonly name: string;
  /**
   * Forgets the last episode. `seed` is a function of the run's seed, the task and the initial state, never of what ran
   * before.
   */
  reset(seed: number): void;
  /** Plans the next chunk from the newest observation. */
  act(seen: Observation, instruction: string, request?: ChunkRequest): Promise<ActionChunk> | ActionChunk;
  /** Where given: told when the episode is over, whatever came of it. */
  [Symbol.dispose]?(): void;
}
