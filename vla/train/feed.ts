import { Tensor } from "../../core/index.ts";
import type { BatchSettings } from "../data/batch.ts";
import { BatchStream } from "../data/batch-stream.ts";
import type { ExampleSet } from "../data/example-set.ts";
import { FeatureBatchMaker } from "../data/feature-batch.ts";
import type { FeatureCache } from "../data/feature-cache.ts";
import type { Perception } from "../perception.ts";
import { chunks, encoderInputs, promptsOf } from "./encoder-inputs.ts";

/** Examples as updates read them: batch number k is the same whatever was read before. */
export interface Feed {
  /** The batches from number `first` on. */
  open(first: number): Promise<FeedStream>;
  /**
   * What an update computes of the tensors of a batch, but for the last, the actions: features (B, S, d). Ops alone.
   */
  features(...inputs: readonly Tensor[]): Tensor;
}

export interface FeedStream extends Disposable {
  /** The next batch: makes its tensors in the scope that is open then, actions (B, T, 7) last. */
  next(): Promise<() => Tensor[]>;
}

/** Pictures and words, for an encoder that is trained. */
export class PictureFeed implements Feed {
  readonly #set: ExampleSet;
  readonly #settings: BatchSettings;
  readonly #perception: Perception;
  /** Of each instruction, padded to the longest. */
  readonly #prompts: readonly Int32Array[];

  constructor(set: ExampleSet, settings: BatchSettings, perception: Perception) {
    this.#set = set;
    this.#settings = settings;
    this.#perception = perception;
    this.#prompts = promptsOf(set, perception);
  }

  async open(first: number): Promise<FeedStream> {
    const stream = new BatchStream(this.#set, this.#settings, first);
    return {
      next: async () => {
        const batch = await stream.next();
        return () => [
          ...encoderInputs(batch, this.#set, this.#prompts, this.#settings.imageSize),
          chunks(batch),
        ];
      },
      [Symbol.dispose]: () => stream[Symbol.dispose](),
    };
  }

  features(agentview: Tensor, wrist: Tensor, ids: Tensor): Tensor {
    return this.#perception.features(agentview, wrist, ids);
  }
}

/** The features of a frozen encoder, computed once, when the feed is opened for the first time. */
export class FeatureFeed implements Feed {
  readonly #openCache: () => Promise<FeatureCache>;
  readonly #set: ExampleSet;
  readonly #settings: Pick<BatchSettings, "seed" | "size">;
  readonly #shape: readonly [tokens: number, d: number];

  /** @param shape of one example's features */
  constructor(
    openCache: () => Promise<FeatureCache>,
    set: ExampleSet,
    settings: Pick<BatchSettings, "seed" | "size">,
    shape: readonly [tokens: number, d: number],
  ) {
    this.#openCache = openCache;
    this.#set = set;
    this.#settings = settings;
    this.#shape = shape;
  }

  async open(first: number): Promise<FeedStream> {
    const cache = await this.#openCache();
    const maker = new FeatureBatchMaker(cache, this.#set, this.#settings);
    let number = first;
    return {
      next: async () => {
        const batch = maker.make(number++);
        return () => [Tensor.from(batch.features, [batch.examples.length, ...this.#shape]), chunks(batch)];
      },
      [Symbol.dispose]: () => cache[Symbol.dispose](),
    };
  }

  features(features: Tensor): Tensor {
    return features;
  }
}
