import type { Tensor } from "../../core/index.ts";
import {
  type Bijector,
  Flow,
  InvertiblePLU,
  JointAffineCoupling,
  Permutation,
  type ScaleShiftNet,
  StandardNormal,
} from "../../flows/index.ts";
import {
  Dropout,
  Lambda,
  LayerNorm,
  Linear,
  Module,
  MultiheadAttention,
  Sequential,
} from "../../nn/index.ts";
import { flag, real, whole } from "../check-config.ts";
import { checkHeads, type DecoderKind } from "../decoder.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { FlowDecoder, NINA_RULES, type NinaConfig } from "./flow-decoder.ts";
import { TransformerInference } from "./transformer-inference.ts";

/** Sizes of the network inside a coupling layer. */
export interface TransformerNetConfig {
  /** Numbers per action, A. */
  readonly actionWidth: number;
  /** Width of the condition, C. */
  readonly condition: number;
  /** Width of the tokens, E. */
  readonly width: number;
  /** Attention heads; they divide the width. */
  readonly heads: number;
  /** Pairs of self- and cross-attention. */
  readonly depth: number;
  /** Training only: probability of zeroing attention weights, attention outputs and hidden numbers. */
  readonly dropout: number;
}

export interface TransformerFlowConfig extends TransformerNetConfig {
  /** Actions per chunk, T. Even: one half drives the other. */
  readonly steps: number;
  /** Blocks of permutation, coupling and (with `plu`) invertible matrix. */
  readonly blocks: number;
  readonly plu: boolean;
}

export interface TransformerConfig extends TransformerFlowConfig, NinaConfig {}

const paper = {
  steps: 10,
  actionWidth: 7,
  features: 1024,
  tokenDropout: 0.1,
  condition: 256,
  blocks: 18,
  width: 256,
  heads: 16,
  depth: 3,
  dropout: 0.1,
  plu: true,
  actionNoise: 0.03,
} as const satisfies TransformerConfig;

/** The published configurations (arXiv:2508.16845). Counts are of the flow, without the projection of the features. */
export const transformerPresets = {
  /** "38M" of the paper: 38,480,904 numbers, 176,400 of them frozen. */
  paper,
  /** 38,126,844 numbers. */
  paperWithoutPlu: { ...paper, plu: false },
  /** One pair of attentions per coupling: 17,127,432 numbers, 176,400 of them frozen. */
  shallow: { ...paper, depth: 1 },
} as const satisfies Record<string, TransformerConfig>;

/**
 * NinA's Transformer flow over chunks (B, T, A), repeated `blocks` times: Permutation of the time steps, an affine
 * coupling in which the first T/2 steps drive the last, and InvertiblePLU over all T · A numbers with `plu`.
 */
export function transformerFlow(config: TransformerFlowConfig): Flow {
  const { steps, actionWidth, blocks, plu } = config;
  if (steps % 2 !== 0) {
    throw new Error(`transformerFlow: expected an even number of steps to split in halves, got ${steps}`);
  }
  const block = (): Bijector[] => [
    new Permutation(steps),
    new JointAffineCoupling(new TransformerNet(config)),
    ...(plu ? [new InvertiblePLU(steps * actionWidth)] : []),
  ];
  return new Flow(Array.from({ length: blocks }, block).flat(), new StandardNormal([steps, actionWidth]));
}

/**
 * Scale and shift from action tokens and one condition vector: (B, L, A), (B, C) → twice (B, L, A).
 * Tokens carry no position, so permuting them permutes the outputs alike. (The paper draws Add & Norm after each
 * attention and a feed-forward part; the published code and weights are pre-norm and have none.)
 */
export class TransformerNet extends Module implements ScaleShiftNet {
  input_proj: Linear;
  subblocks: SubBlock[];
  norm3: LayerNorm;
  ff_mult: Sequential;
  ff_shift: Sequential;
  /** Part of every checkpoint, used by nothing. */
  cond_proj: Linear;

  constructor(config: TransformerNetConfig) {
    super();
    const { actionWidth, condition, width, depth, dropout } = config;
    const head = (): Sequential =>
      new Sequential(
        new Linear(width, 2 * width),
        new Lambda((h) => h.gelu()),
        new Dropout(dropout),
        new Linear(2 * width, actionWidth),
      );
    this.input_proj = new Linear(actionWidth, width);
    this.subblocks = Array.from({ length: depth }, () => new SubBlock(config));
    this.norm3 = new LayerNorm(width);
    this.ff_mult = head();
    this.ff_shift = head();
    this.cond_proj = new Linear(condition, width);
  }

  forward(kept: Tensor, condition?: Tensor): [scale: Tensor, shift: Tensor] {
    if (!condition) throw new Error("TransformerNet: expected a condition (B, C), got none");
    const h = this.encode(kept, condition);
    return [this.ff_mult.forward(h), this.ff_shift.forward(h)];
  }

  /** What both heads read: (B, L, A), (B, C) → (B, L, E). */
  encode(actions: Tensor, condition: Tensor): Tensor {
    const { C } = condition.dims("B C", "TransformerNet: condition");
    const [B] = actions.shape;
    if (condition.shape[0] !== B)
      // one row for several samples would be stretched
      throw new Error(
        `TransformerNet: expected a condition (${B}, ${C}), got (${condition.shape.join(", ")})`,
      );
    const token = condition.reshape([B, 1, C]);
    const h = this.subblocks.reduce((x, block) => block.forward(x, token), this.input_proj.forward(actions));
    return this.norm3.forward(h);
  }
}

/**
 * h ← h + SA(LN₁ h), then h ← h + CA(LN₂ h; the condition's token). One key gives every query the weight 1, so `norm2`
 * and the query and key rows of `cross_attn` change nothing, and nothing is computed of them. The rows' gradients are
 * zero, so training decays them as the reference does; `norm2`, which is never decayed, gets none where the reference
 * gets zeros.
 */
class SubBlock extends Module {
  self_attn: MultiheadAttention;
  cross_attn: MultiheadAttention;
  norm1: LayerNorm;
  norm2: LayerNorm;
  cond_proj: Linear;
  readonly dropout: Dropout;

  constructor({ condition, width, heads, dropout }: TransformerNetConfig) {
    super();
    this.self_attn = new MultiheadAttention(width, heads, { dropout });
    this.cross_attn = new MultiheadAttention(width, heads, { dropout });
    this.norm1 = new LayerNorm(width);
    this.norm2 = new LayerNorm(width);
    this.cond_proj = new Linear(condition, width);
    this.dropout = new Dropout(dropout);
  }

  /** h (B, L, E), condition (B, 1, C) → (B, L, E) */
  forward(h: Tensor, condition: Tensor): Tensor {
    const seen = h.add(this.dropout.forward(this.self_attn.forward(this.norm1.forward(h))));
    const token = this.cond_proj.forward(condition); // (B, 1, E)
    return seen.add(this.dropout.forward(this.cross_attn.forward(seen, token)));
  }
}

/** NinA with Transformer coupling networks: an exact density over action chunks, sampled in one pass. */
export class TransformerDecoder extends FlowDecoder<TransformerConfig> {
  constructor(config: TransformerConfig) {
    super(config, transformerFlow(config));
  }

  forInference(options: InferenceOptions): TransformerInference {
    return new TransformerInference(this, options);
  }
}

export const transformerKind: DecoderKind<TransformerConfig> = {
  rules: {
    ...NINA_RULES,
    blocks: whole(1, 1000),
    width: whole(1, 16_384),
    heads: whole(1, 1024),
    depth: whole(0, 1000),
    dropout: real(0, 0.999),
    plu: flag,
  },
  faults: (config) => [
    ...(config.steps % 2 === 0 ? [] : [`decoder.steps: expected an even number, found ${config.steps}`]),
    ...checkHeads(config),
  ],
  make: (config) => new TransformerDecoder(config),
};
