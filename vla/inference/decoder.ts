import {
  type FrozenFormat,
  FrozenWeights,
  type Shape,
  Tensor,
  unscoped,
  type WeightFormat,
} from "../../core/index.ts";
import type { ChunkConfig } from "../decoder.ts";

export interface InferenceOptions {
  /**
   * float32 is exact up to rounding. bfloat16 halves the bytes, at 8 bits of precision. int8 quarters them, at 7 bits
   * relative to the largest weight of each output.
   */
  readonly weights: WeightFormat;
}

/**
 * A decoder made ready for inference: what is constant has been multiplied out ahead, in float64, and rounded once.
 * It keeps copies, so the decoder may be changed or disposed of afterwards. `condition` and `sample` are those of the
 * decoder, made of ops: capture them in a `Plan` to replay them without allocating.
 */
export interface InferenceDecoder {
  readonly config: ChunkConfig;
  /** The rounding error of the format over all weights, ‖kept − exact‖ / ‖exact‖. */
  readonly weightError: number;
  /** Bytes of weights that one call of `sample` reads, for any batch; twice what is read twice. */
  readonly weightBytes: number;
  /** Multiplications with a weight for one chunk; some decoders see all of the `tokens` tokens of the features. */
  weightProducts(tokens: number): number;
  condition(features: Tensor): Tensor;
  sample(z: Tensor, condition: Tensor): Tensor;
  dispose(): void;
}

/** The constants of a decoder for inference: where they are counted, and disposed of. */
export class Constants {
  /** The decoder's own precision: a float64 one keeps float64 weights, whatever was asked for. */
  readonly dtype: "float32" | "float64";
  readonly #format: FrozenFormat;
  readonly #weights: FrozenWeights[] = [];
  readonly #owned: { dispose(): void }[] = [];

  constructor(dtype: Tensor["dtype"], format: WeightFormat) {
    this.dtype = dtype === "float64" ? "float64" : "float32";
    this.#format = dtype === "float64" ? "float64" : format;
  }

  /** Matrices (outputs, inputs) in the format that was asked for. */
  weights(matrices: readonly ArrayLike<number>[], outputs: number, inputs: number): FrozenWeights {
    return this.#add(matrices, outputs, inputs, this.#format);
  }

  /**
   * The same in full precision: for a matrix that all numbers of a sample pass once per block, so that its rounding
   * would add up.
   */
  exactWeights(matrices: readonly ArrayLike<number>[], outputs: number, inputs: number): FrozenWeights {
    return this.#add(matrices, outputs, inputs, this.dtype);
  }

  tensor(values: ArrayLike<number>, shape: Shape): Tensor {
    return this.own(unscoped(() => Tensor.from(values, shape, this.dtype)));
  }

  /** Anything else that goes with them. */
  own<T extends { dispose(): void }>(owned: T): T {
    this.#owned.push(owned);
    return owned;
  }

  #add(
    matrices: readonly ArrayLike<number>[],
    outputs: number,
    inputs: number,
    format: FrozenFormat,
  ): FrozenWeights {
    const weights = unscoped(() => new FrozenWeights(matrices, outputs, inputs, format));
    this.#weights.push(weights);
    return this.own(weights);
  }

  /** ‖kept − exact‖ / ‖exact‖ over all weights. */
  get error(): number {
    let [difference, total] = [0, 0];
    for (const { error, norm } of this.#weights) {
      difference += (error * norm) ** 2;
      total += norm ** 2;
    }
    return total === 0 ? 0 : Math.sqrt(difference / total);
  }

  get bytes(): number {
    return this.#weights.reduce((sum, weights) => sum + weights.bytes, 0);
  }

  get products(): number {
    return this.#weights.reduce((sum, { groups, inputs, outputs }) => sum + groups * inputs * outputs, 0);
  }

  dispose(): void {
    for (const owned of this.#owned) owned.dispose();
  }
}
