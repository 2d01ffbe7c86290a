import { createHash } from "node:crypto";
import { noGrad, Plan, Tensor, tidy } from "../../core/index.ts";
import type { BatchArrays } from "../data/batch.ts";
import type { ExampleSet } from "../data/example-set.ts";
import type { FrozenEncoder } from "../data/feature-origin.ts";
import { weightsChecksum } from "../data/weights-checksum.ts";
import type { Perception } from "../perception.ts";
import { encoderInputs, promptsOf } from "./encoder-inputs.ts";

/**
 * An encoder for a cache of features: what it sees of every token, (tokens, d), or with `pooled` their mean, (1, d),
 * which is all that NinA's decoders take.
 */
export class CachedEncoder implements FrozenEncoder, Disposable {
  readonly id: string;
  readonly imageSize: number;
  readonly shape: readonly [tokens: number, d: number];
  /**
   * How features are stored: tokens are many, so with half the bytes, at the precision that the reference computes
   * with.
   */
  readonly type: "float32" | "bfloat16";
  readonly #set: ExampleSet;
  readonly #prompts: readonly Int32Array[];
  readonly #encode: (...inputs: Tensor[]) => Tensor;
  #plan: Plan | null = null;

  constructor(perception: Perception, set: ExampleSet, pooled: boolean) {
    this.#set = set;
    this.type = pooled ? "float32" : "bfloat16";
    this.#prompts = promptsOf(set, perception);
    this.imageSize = perception.config.imageSize;
    this.#encode = (agentview, wrist, ids) => {
      const features = perception.features(agentview, wrist, ids);
      return pooled ? features.mean([1], true) : features;
    };
    const { imageSize: S } = this;
    this.shape = tidy(() => {
      const picture = Tensor.zeros([1, 3, S, S]);
      const ids = Tensor.from(this.#prompts[0], [1, this.#prompts[0].length], "int32");
      const [, tokens, d] = noGrad(() => this.#encode(picture, picture, ids)).shape;
      return [tokens, d];
    });
    const prompts = createHash("sha256").update(JSON.stringify(this.#prompts.map((ids) => [...ids])));
    const words = prompts.digest("hex").slice(0, 16);
    this.id = `${weightsChecksum(perception.florence)}, prompts ${words}, ${pooled ? "pooled" : "all tokens"}`;
  }

  encode(batch: BatchArrays): Float32Array {
    return tidy(() => {
      const inputs = encoderInputs(batch, this.#set, this.#prompts, this.imageSize);
      this.#plan ??= new Plan(this.#encode, inputs);
      return { features: Float32Array.from(this.#plan.run(...inputs)[0].data) };
    }).features;
  }

  [Symbol.dispose](): void {
    this.#plan?.[Symbol.dispose]();
  }
}
