import type { Random, Tensor } from "../../core/index.ts";
import { InvertiblePLU } from "../../flows/index.ts";
import { Dropout, Linear, Module } from "../../nn/index.ts";
import { checkHeads, type Decoder, type DecoderKind } from "../decoder.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { noisyTarget, poolTokens } from "./decoder.ts";
import type { NinaConfig } from "./flow-decoder.ts";
import { MseInference } from "./mse-inference.ts";
import {
  TransformerNet,
  type TransformerNetConfig,
  transformerKind,
  transformerPresets,
} from "./transformer.ts";

export interface MseNetConfig extends TransformerNetConfig {
  /** Actions per chunk, T. */
  readonly steps: number;
  readonly blocks: number;
  /** Whether an (inverse) invertible matrix follows each block. */
  readonly plu: boolean;
}

export interface MseConfig extends MseNetConfig, NinaConfig {}

/** The networks of the paper's Transformer decoder, trained without a density. */
export const msePresets = {
  paper: transformerPresets.paper,
  paperWithoutPlu: transformerPresets.paperWithoutPlu,
} as const satisfies Record<string, MseConfig>;

/**
 * The paper's ablation of the flow: the coupling networks, without coupling, map noise z (B, T, A) straight to actions
 * and are trained by squared error. Each block replaces the whole chunk; with `plu` the matrix is applied in its
 * inverse direction, and blocks run front to back, as the published code does.
 */
export class MseNet extends Module {
  layers: (MseBlock | InvertiblePLU)[];

  constructor(config: MseNetConfig) {
    super();
    const block = () => [
      new MseBlock(config),
      ...(config.plu ? [new InvertiblePLU(config.steps * config.actionWidth)] : []),
    ];
    this.layers = Array.from({ length: config.blocks }, block).flat();
  }

  /** z (B, T, A), condition (B, C) → actions (B, T, A), not clamped. */
  forward(z: Tensor, condition: Tensor): Tensor {
    return this.layers.reduce(
      (x, layer) => (layer instanceof InvertiblePLU ? layer.inverse(x).out : layer.forward(x, condition)),
      z,
    );
  }
}

/** A coupling network used for its scale head alone; its shift head stays unused. */
class MseBlock extends Module {
  net: TransformerNet;

  constructor(config: TransformerNetConfig) {
    super();
    this.net = new TransformerNet(config);
  }

  forward(x: Tensor, condition: Tensor): Tensor {
    return this.net.ff_mult.forward(this.net.encode(x, condition));
  }
}

/** The ablation as a decoder. It has no density: `logProb` is absent. */
export class MseDecoder extends Module implements Decoder<{ action: Tensor; z: Tensor }> {
  cond_proj: Linear;
  nf: MseNet;
  readonly config: MseConfig;
  readonly tokenDropout: Dropout;

  constructor(config: MseConfig) {
    super();
    this.config = config;
    this.tokenDropout = new Dropout(config.tokenDropout);
    this.cond_proj = new Linear(config.features, config.condition);
    this.nf = new MseNet(config);
  }

  /** (B, S, H) → (B, C) */
  condition(features: Tensor): Tensor {
    features.dims(`B S ${this.config.features}`, "MseDecoder.condition");
    return this.cond_proj.forward(poolTokens(this.tokenDropout.forward(features)));
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps, actionWidth } = this.config;
    z.dims(`B ${steps} ${actionWidth}`, "MseDecoder.sample");
    return this.nf.forward(z, condition).clamp(-1, 1);
  }

  /** mean (a′ − sample(z))² with noisy, clamped targets a′. Where the sample was clamped its gradient is zero. */
  loss(actions: Tensor, condition: Tensor, noise: { action: Tensor; z: Tensor }): Tensor {
    const { steps, actionWidth } = this.config;
    noise.z.dims(`${actions.shape[0]} ${steps} ${actionWidth}`, "MseDecoder.loss: z"); // one row would be stretched
    const target = noisyTarget(actions, noise.action, this.config.actionNoise);
    return target.sub(this.sample(noise.z, condition)).square().mean();
  }

  drawNoise(batch: number, random: Random): { action: Tensor; z: Tensor } {
    const shape = [batch, this.config.steps, this.config.actionWidth];
    return { action: random.normals(shape), z: random.normals(shape) };
  }

  forInference(options: InferenceOptions): MseInference {
    return new MseInference(this, options);
  }
}

export const mseKind: DecoderKind<MseConfig> = {
  rules: transformerKind.rules,
  faults: checkHeads,
  make: (config) => new MseDecoder(config),
};
