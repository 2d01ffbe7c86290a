import type { Random, Tensor } from "../../core/index.ts";
import type { Flow, LogProbTerms } from "../../flows/index.ts";
import { Dropout, Linear, Module } from "../../nn/index.ts";
import { type Rule, real, whole } from "../check-config.ts";
import { CHUNK_RULES, type ChunkConfig, type Decoder } from "../decoder.ts";
import type { InferenceDecoder, InferenceOptions } from "../inference/decoder.ts";
import { noisyTarget, poolTokens } from "./decoder.ts";

export interface NinaConfig extends ChunkConfig {
  /** Width of the condition, C. */
  readonly condition: number;
  /** Standard deviation of the noise added to target actions in training. */
  readonly actionNoise: number;
}

export const NINA_RULES: Readonly<Record<keyof NinaConfig, Rule>> = {
  ...CHUNK_RULES,
  condition: whole(1, 16_384),
  actionNoise: real(0, 10),
};

/** NinA (arXiv:2508.16845): a normalizing flow behind pooled encoder features gives actions an exact density. */
export abstract class FlowDecoder<C extends NinaConfig>
  extends Module
  implements Decoder<{ action: Tensor }>
{
  cond_proj: Linear;
  nf: Flow;
  readonly config: C;
  readonly tokenDropout: Dropout;

  /** The flow's event is the chunk, (T, A) or flattened to (T · A). */
  constructor(config: C, flow: Flow) {
    super();
    this.config = config;
    this.tokenDropout = new Dropout(config.tokenDropout);
    this.cond_proj = new Linear(config.features, config.condition);
    this.nf = flow;
  }

  abstract forInference(options: InferenceOptions): InferenceDecoder;

  /** (B, S, H) → (B, C) */
  condition(features: Tensor): Tensor {
    features.dims(`B S ${this.config.features}`, `${this.constructor.name}.condition`);
    return this.cond_proj.forward(poolTokens(this.tokenDropout.forward(features)));
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    return this.nf.inverse(this.#event(z), condition).out.clamp(-1, 1).reshape(z.shape);
  }

  logProb(actions: Tensor, condition: Tensor): Tensor {
    return this.nf.logProb(this.#event(actions), condition);
  }

  /** What each layer of the flow contributes to `logProb`. */
  logProbTerms(actions: Tensor, condition: Tensor): LogProbTerms {
    return this.nf.logProbTerms(this.#event(actions), condition);
  }

  /** −mean log p(a′ | condition) with noisy, clamped targets a′. */
  loss(actions: Tensor, condition: Tensor, noise: { action: Tensor }): Tensor {
    const target = noisyTarget(actions, noise.action, this.config.actionNoise);
    return this.logProb(target, condition).mean().neg();
  }

  drawNoise(batch: number, random: Random): { action: Tensor } {
    return { action: random.normals([batch, this.config.steps, this.config.actionWidth]) };
  }

  /** A chunk (B, T, A) in the shape the flow works on. */
  #event(chunk: Tensor): Tensor {
    const { steps, actionWidth } = this.config;
    const { B } = chunk.dims(`B ${steps} ${actionWidth}`, this.constructor.name);
    return chunk.reshape([B, ...this.nf.base.event]);
  }
}
