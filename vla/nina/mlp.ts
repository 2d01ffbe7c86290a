import type { Random, Tensor } from "../../core/index.ts";
import {
  AffineCoupling,
  type Bijector,
  Flow,
  InvertiblePLU,
  type LogProbTerms,
  MlpConditioner,
  Permutation,
  StandardNormal,
} from "../../flows/index.ts";
import { Dropout, Linear, Module } from "../../nn/index.ts";
import { type ChunkConfig, type Decoder, perturb, poolTokens } from "./decoder.ts";

export interface MlpFlowConfig {
  /** Actions per chunk, T. */
  readonly steps: number;
  /** Numbers per action, A. T · A must be even. */
  readonly actionWidth: number;
  /** Width of the condition, C. */
  readonly condition: number;
  /** Blocks of permutation, coupling and (with `plu`) invertible matrix. */
  readonly blocks: number;
  /** Hidden width of the scale and shift networks, E. */
  readonly width: number;
  readonly plu: boolean;
}

export interface MlpConfig extends MlpFlowConfig, ChunkConfig {
  /** Standard deviation of the noise added to target actions in training. */
  readonly actionNoise: number;
}

/** The published configurations (arXiv:2508.16845; noise 0.03 is the paper's best, 0.05 what its repository ships). */
export const mlpPresets = {
  /** "2M" of the paper: 1,971,984 numbers in the flow, 274,400 of them frozen. */
  paper: {
    steps: 10,
    actionWidth: 7,
    features: 1024,
    condition: 256,
    blocks: 28,
    width: 64,
    plu: true,
    actionNoise: 0.03,
  },
  paperWithoutPlu: {
    steps: 10,
    actionWidth: 7,
    features: 1024,
    condition: 256,
    blocks: 28,
    width: 64,
    plu: false,
    actionNoise: 0.03,
  },
  /** The default of the published code, which is neither of the paper's models. */
  shipped: {
    steps: 10,
    actionWidth: 7,
    features: 1024,
    condition: 256,
    blocks: 18,
    width: 256,
    plu: true,
    actionNoise: 0.05,
  },
} as const satisfies Record<string, MlpConfig>;

/**
 * NinA's MLP flow over the flattened chunk (B, T · A), index t · A + a, repeated `blocks` times:
 * Permutation, AffineCoupling, and InvertiblePLU with `plu`.
 */
export function mlpFlow(config: MlpFlowConfig): Flow {
  const { condition, blocks, width, plu } = config;
  const N = config.steps * config.actionWidth;
  if (N % 2 !== 0) {
    throw new Error(
      `mlpFlow: expected an even number of entries to split in halves, got ${config.steps} steps of ` +
        `${config.actionWidth} = ${N}`,
    );
  }
  const net = (): MlpConditioner => new MlpConditioner({ kept: N / 2, condition, width, outputs: N / 2 });
  const block = (): Bijector[] => [
    new Permutation(N),
    new AffineCoupling(net(), net()),
    ...(plu ? [new InvertiblePLU(N)] : []),
  ];
  return new Flow(Array.from({ length: blocks }, block).flat(), new StandardNormal([N]));
}

/** NinA with MLP coupling networks: an exact density over action chunks, sampled in one pass. */
export class MlpDecoder extends Module implements Decoder<{ action: Tensor }> {
  cond_proj: Linear;
  nf: Flow;
  readonly config: MlpConfig;
  /** Training only: zeroes single feature numbers, not whole tokens. */
  readonly tokenDropout = new Dropout(0.1);

  constructor(config: MlpConfig) {
    super();
    this.config = config;
    this.cond_proj = new Linear(config.features, config.condition);
    this.nf = mlpFlow(config);
  }

  /** (B, S, H) → (B, C) */
  condition(features: Tensor): Tensor {
    features.dims(`B S ${this.config.features}`, "MlpDecoder.condition");
    return this.cond_proj.forward(poolTokens(this.tokenDropout.forward(features)));
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    return this.nf.inverse(this.#flat(z), condition).out.clamp(-1, 1).reshape(z.shape);
  }

  logProb(actions: Tensor, condition: Tensor): Tensor {
    return this.nf.logProb(this.#flat(actions), condition);
  }

  /** What each layer of the flow contributes to `logProb`. */
  logProbTerms(actions: Tensor, condition: Tensor): LogProbTerms {
    return this.nf.logProbTerms(this.#flat(actions), condition);
  }

  /** −mean log p(a′ | condition) with noisy, clamped targets a′. */
  loss(actions: Tensor, condition: Tensor, noise: { action: Tensor }): Tensor {
    const target = perturb(actions, noise.action, this.config.actionNoise);
    return this.logProb(target, condition).mean().neg();
  }

  drawNoise(batch: number, random: Random): { action: Tensor } {
    return { action: random.normals([batch, this.config.steps, this.config.actionWidth]) };
  }

  #flat(chunk: Tensor): Tensor {
    const { steps, actionWidth } = this.config;
    const { B } = chunk.dims(`B ${steps} ${actionWidth}`, "MlpDecoder");
    return chunk.reshape([B, steps * actionWidth]);
  }
}
