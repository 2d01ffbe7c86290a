import type { Observation } from "../observation.ts";
import type { ActionChunk, ChunkRequest, Policy } from "../policies/policy.ts";
import type { Moment } from "./strip.ts";

/** A chunk with its terms: log p(chunk | seen) is log p(z) and `logDet`, what the layers of the flow add. */
export interface JudgedChunk extends Moment {
  readonly logDet: number;
}

/** Plays as another policy does, and keeps what it saw and how likely its chunks were. */
export class Witness implements Policy {
  readonly name: string;
  readonly #policy: Policy;
  #moments: JudgedChunk[] = [];

  constructor(policy: Policy) {
    this.name = policy.name;
    this.#policy = policy;
  }

  /** Of the last episode, one per chunk. */
  get moments(): readonly JudgedChunk[] {
    return this.#moments;
  }

  reset(seed: number): void {
    this.#moments = [];
    this.#policy.reset(seed);
  }

  async act(seen: Observation, instruction: string, request?: ChunkRequest): Promise<ActionChunk> {
    const chunk = await this.#policy.act(seen, instruction, request);
    const { logProb, logProbTerms } = chunk;
    if (logProb !== undefined && logProbTerms) {
      const logDet = logProbTerms.layers.reduce((sum, x) => sum + x, 0);
      this.#moments.push({ image: seen.agentview_image, logProb, logDet });
    }
    return chunk;
  }
}
