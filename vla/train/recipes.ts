import { UsageError } from "../../cli/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { Augmentation } from "../data/augmentation.ts";
import type { DecoderConfig } from "../decoders.ts";
import { type FlowerConfig, flowerPresets } from "../flower/flower.ts";
import { type MlpConfig, mlpPresets } from "../nina/mlp.ts";
import { type MseConfig, msePresets } from "../nina/mse.ts";
import { adamWOptions, learningRate } from "../nina/training.ts";
import { type TransformerConfig, transformerPresets } from "../nina/transformer.ts";

/** How weights are updated. */
export interface Optimisation {
  /** Updates. */
  readonly steps: number;
  /** Examples per update, all its parts together. */
  readonly batch: number;
  /** The highest learning rate. */
  readonly peak: number;
  /**
   * Updates of linear warm-up, from `startFactor` · peak; then a share of all updates at the peak; then half a cosine.
   */
  readonly warmup: number;
  readonly hold: number;
  readonly startFactor: number;
  /** The last learning rate as a share of the peak. */
  readonly endFactor: number;
  readonly betas: readonly [number, number];
  readonly weightDecay: number;
}

/** A way to train, with everything that flags may change. */
export interface Recipe {
  /** On the features of a frozen encoder, and with the encoder. */
  readonly frozen: Optimisation;
  readonly joint: Optimisation;
  /** How pictures are changed at random. */
  readonly augmentation: Augmentation;
}

/**
 * What two cores learn from in minutes. Batches are large where an example is a cached row, small where it is pictures.
 */
const mini: Recipe = {
  frozen: {
    steps: 6000,
    batch: 256,
    peak: 1e-3,
    warmup: 300,
    hold: 0,
    startFactor: 0,
    endFactor: 0,
    betas: [0.9, 0.95],
    weightDecay: 0.01,
  },
  joint: {
    steps: 3400,
    batch: 32,
    peak: 1.5e-3,
    warmup: 200,
    hold: 0.5,
    startFactor: 0,
    endFactor: 0,
    betas: [0.9, 0.95],
    weightDecay: 0.01,
  },
  augmentation: { pads: { agentview: 4, wrist: 3 }, gain: [0.85, 1.15] },
};

const { peak, totalSteps, phases, startFactor, endFactor } = learningRate;
const published: Optimisation = {
  steps: totalSteps,
  batch: 80,
  peak,
  startFactor,
  endFactor,
  warmup: phases[0] * totalSteps,
  hold: phases[1],
  betas: adamWOptions.betas ?? [0.9, 0.999],
  weightDecay: adamWOptions.weightDecay ?? 0.01,
};

export const recipes = {
  mini,
  /**
   * NinA's published code (arXiv:2508.16845). Its pictures have 112 pixels, and move without a change of brightness.
   */
  paper: {
    frozen: published,
    joint: published,
    augmentation: { pads: { agentview: 10, wrist: 4 }, gain: [1, 1] },
  },
} as const satisfies Record<string, Recipe>;

const chunk = { steps: 10, actionWidth: 7, tokenDropout: 0.1 } as const;
/** Of attention networks that two cores train. */
const attention = {
  ...chunk,
  condition: 128,
  blocks: 6,
  width: 64,
  heads: 4,
  depth: 1,
  dropout: 0.1,
  plu: true,
  actionNoise: 0.03,
} as const;

type Sizes<C> = Readonly<Record<string, Omit<C, "features">>>;

/** Sizes of the decoders by name, first those for two cores; how wide the features are, the encoder tells. */
const presets = {
  "nina-mlp": {
    mini: { ...chunk, condition: 128, blocks: 10, width: 128, plu: true, actionNoise: 0.03 },
    ...mlpPresets,
  } satisfies Sizes<MlpConfig>,
  "nina-transformer": { mini: attention, ...transformerPresets } satisfies Sizes<TransformerConfig>,
  mse: { mini: attention, ...msePresets } satisfies Sizes<MseConfig>,
  flower: {
    mini: { ...flowerPresets.small, width: 64, layers: 4, heads: 4 },
    ...flowerPresets,
  } satisfies Sizes<FlowerConfig>,
} as const;

export type DecoderName = keyof typeof presets;
export const decoderNames = Object.keys(presets) as readonly DecoderName[];

const kinds = { "nina-mlp": "mlp", "nina-transformer": "transformer", mse: "mse", flower: "flower" } as const;

/** Names of the sizes that a decoder comes in. */
export const presetNames = (decoder: DecoderName): string[] => Object.keys(presets[decoder]);

/** A decoder of a named size for features of a given width, with some sizes changed. */
export function decoderConfig(
  decoder: DecoderName,
  preset: string,
  features: number,
  changes: Readonly<Record<string, unknown>>,
): DecoderConfig {
  const sizes = (presets[decoder] as Readonly<Record<string, object>>)[preset];
  const unknown = Object.keys(changes).find((field) => !(field in sizes));
  if (unknown !== undefined)
    throw new UsageError(
      `${decoder}: expected changes of ${Object.keys(sizes).join(", ")}, got one of ${unknown}`,
    );
  return { kind: kinds[decoder], ...sizes, features, ...changes } as DecoderConfig;
}

/**
 * How a decoder's samples become actions unless flags say otherwise. Below temperature 1 a flow stays near its mode,
 * which helps here and is not what the paper does; for the others the noise is no scale to turn.
 */
export const samplingOf = (decoder: DecoderName, recipe: keyof typeof recipes): SamplingConfig => ({
  temperature: recipe === "mini" && decoder.startsWith("nina-") ? 0.1 : 1,
  actionsPerQuery: chunk.steps,
});
