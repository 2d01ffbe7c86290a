import {
  AffineCoupling,
  type Bijector,
  Flow,
  InvertiblePLU,
  MlpConditioner,
  Permutation,
  StandardNormal,
} from "../../flows/index.ts";
import { flag, whole } from "../check-config.ts";
import type { DecoderKind } from "../decoder.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { FlowDecoder, NINA_RULES, type NinaConfig } from "./flow-decoder.ts";
import { MlpInference } from "./mlp-inference.ts";

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

export interface MlpConfig extends MlpFlowConfig, NinaConfig {}

const paper = {
  steps: 10,
  actionWidth: 7,
  features: 1024,
  tokenDropout: 0.1,
  condition: 256,
  blocks: 28,
  width: 64,
  plu: true,
  actionNoise: 0.03,
} as const satisfies MlpConfig;

/** The published configurations (arXiv:2508.16845; noise 0.03 is the paper's best, 0.05 what its repository ships). */
export const mlpPresets = {
  /** "2M" of the paper: 1,971,984 numbers in the flow, 274,400 of them frozen. */
  paper,
  paperWithoutPlu: { ...paper, plu: false },
  /** The default of the published code, which is neither of the paper's models. */
  shipped: { ...paper, blocks: 18, width: 256, actionNoise: 0.05 },
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
export class MlpDecoder extends FlowDecoder<MlpConfig> {
  constructor(config: MlpConfig) {
    super(config, mlpFlow(config));
  }

  forInference(options: InferenceOptions): MlpInference {
    return new MlpInference(this, options);
  }
}

export const mlpKind: DecoderKind<MlpConfig> = {
  rules: { ...NINA_RULES, blocks: whole(1, 1000), width: whole(1, 16_384), plu: flag },
  faults: ({ steps, actionWidth }) =>
    (steps * actionWidth) % 2 === 0
      ? []
      : [`decoder.steps: expected an even number of entries, found ${steps} x ${actionWidth}`],
  make: (config) => new MlpDecoder(config),
};
