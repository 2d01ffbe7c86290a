import type { FrozenWeights, Tensor } from "../../core/index.ts";
import type { Linear, Module } from "../../nn/index.ts";
import { Constants, type InferenceDecoder, type InferenceOptions } from "../inference/decoder.ts";
import { numbersOf } from "../inference/matrices.ts";
import { poolTokens } from "./decoder.ts";
import type { NinaConfig } from "./flow-decoder.ts";

/** What NinA's decoders for inference share: the condition is a projection of the pooled features. */
export abstract class NinaInference<C extends NinaConfig> implements InferenceDecoder {
  readonly config: C;
  protected readonly constants: Constants;
  readonly #projection: FrozenWeights;
  readonly #bias: Tensor;

  constructor(decoder: Module & { config: C; cond_proj: Linear }, { weights }: InferenceOptions) {
    const { condition: C, features } = decoder.config;
    const own = numbersOf(decoder.cond_proj);
    this.config = decoder.config;
    this.constants = new Constants(decoder.cond_proj.weight.dtype, weights);
    this.#projection = this.constants.weights([own("weight")], C, features);
    this.#bias = this.constants.tensor(own("bias"), [1, 1, C]);
  }

  get weightError(): number {
    return this.constants.error;
  }

  get weightBytes(): number {
    return this.constants.bytes - this.#projection.bytes;
  }

  abstract weightProducts(): number;

  /** (B, S, H) → (B, C) */
  condition(features: Tensor): Tensor {
    const { features: H, condition: C } = this.config;
    const { B } = features.dims(`B S ${H}`, `${this.constructor.name}.condition`);
    const pooled = poolTokens(features).reshape([1, B, H]);
    return pooled.frozenLinear(this.#projection, { bias: this.#bias }).reshape([B, C]);
  }

  abstract sample(z: Tensor, condition: Tensor): Tensor;

  /** Checks what `sample` is given; returns B. */
  protected batch(z: Tensor, condition: Tensor): number {
    const { steps, actionWidth, condition: C } = this.config;
    const who = `${this.constructor.name}.sample`;
    const { B } = z.dims(`B ${steps} ${actionWidth}`, who);
    condition.dims(`${B} ${C}`, `${who}: condition`);
    return B;
  }

  dispose(): void {
    this.constants.dispose();
  }
}
