import { checkInteger, type Random } from "../../core/index.ts";
import type { EpochOrder } from "../../nn/index.ts";
import type { ExampleSet } from "./example-set.ts";
import type { FeatureCache } from "./feature-cache.ts";
import { orderOf, streamsOf } from "./order.ts";

/** Examples as a decoder takes them whose encoder is frozen: B of them, T actions each. All row-major. */
export interface FeatureBatch {
  /** Its number in the run, from 0. */
  readonly number: number;
  /** Which examples of the set, (B). */
  readonly examples: Int32Array;
  /** Which copy of each, (B): 0 is the plain one. */
  readonly copies: Int32Array;
  /** (B, …shape) of the encoder. */
  readonly features: Float32Array;
  /** (B, T, 7). */
  readonly actions: Float32Array;
}

/** Makes the batches of a run on cached features: number k is a pure function of (cache, seed, size, k). */
export class FeatureBatchMaker {
  readonly #cache: FeatureCache;
  readonly #set: ExampleSet;
  readonly #size: number;
  readonly #order: EpochOrder;
  readonly #streams: (position: number) => Random;

  constructor(cache: FeatureCache, set: ExampleSet, { seed, size }: { seed: number; size: number }) {
    checkInteger(seed, 0, "FeatureBatchMaker", "seed");
    checkInteger(size, 1, "FeatureBatchMaker", "size");
    this.#cache = cache;
    this.#set = set;
    this.#size = size;
    this.#order = orderOf(set.count, seed);
    this.#streams = streamsOf(seed, "choice of copies");
  }

  /** Batch number `number`, in memory of its own: each epoch has every example once, in one of its copies by chance. */
  make(number: number): FeatureBatch {
    const [B, width, chunk] = [this.#size, this.#cache.width, 7 * this.#set.settings.horizon];
    const examples = new Int32Array(B);
    const copies = new Int32Array(B);
    const features = new Float32Array(B * width);
    const actions = new Float32Array(B * chunk);
    for (let b = 0; b < B; b++) {
      const position = number * B + b;
      examples[b] = this.#order.at(position);
      copies[b] = this.#streams(position).integer(this.#cache.copies);
      this.#cache.writeRow(copies[b], examples[b], features.subarray(b * width, (b + 1) * width));
      this.#set.writeActions(examples[b], actions.subarray(b * chunk, (b + 1) * chunk));
    }
    return { number, examples, copies, features, actions };
  }
}
