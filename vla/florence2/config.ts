import { checkFields, flag, listOf, type Rule, real, whole } from "../check-config.ts";

/**
 * Sizes of a Florence-2 encoder, spelled as in the published `config.json` (its vision part and its text part in one).
 */
export interface FlorenceConfig {
  /** Channels of the four stages of the vision tower. */
  readonly dim_embed: readonly number[];
  /** Heads of the window attention per stage. */
  readonly num_heads: readonly number[];
  /** Groups of the channel attention per stage. */
  readonly num_groups: readonly number[];
  /** Pairs of a spatial and a channel block per stage. */
  readonly depths: readonly number[];
  /** Side of an attention window in tokens. */
  readonly window_size: number;
  readonly patch_size: readonly number[];
  readonly patch_stride: readonly number[];
  readonly patch_padding: readonly number[];
  /** Whether a stage's LayerNorm stands before its convolution. */
  readonly patch_prenorm: readonly boolean[];
  readonly drop_path_rate: number;
  /** Rows and columns that have a position embedding. */
  readonly max_pos_embeddings: number;
  readonly max_temporal_embeddings: number;
  /** Rows of the token table. */
  readonly vocab_size: number;
  /** Width of the text encoder and of the projected image tokens. */
  readonly d_model: number;
  readonly encoder_layers: number;
  readonly encoder_attention_heads: number;
  readonly encoder_ffn_dim: number;
  readonly max_position_embeddings: number;
  readonly dropout: number;
}

const shared = {
  depths: [1, 1, 9, 1],
  window_size: 12,
  patch_size: [7, 3, 3, 3],
  patch_stride: [4, 2, 2, 2],
  patch_padding: [3, 1, 1, 1],
  patch_prenorm: [false, true, true, true],
  drop_path_rate: 0.1,
  max_pos_embeddings: 50,
  max_temporal_embeddings: 100,
  vocab_size: 51289,
  max_position_embeddings: 1024,
  dropout: 0.1,
} as const;

/** Florence-2-base (arXiv:2311.06242): 173.9 M parameters without its decoder. */
export const florenceBase: FlorenceConfig = {
  ...shared,
  dim_embed: [128, 256, 512, 1024],
  num_heads: [4, 8, 16, 32],
  num_groups: [4, 8, 16, 32],
  d_model: 768,
  encoder_layers: 6,
  encoder_attention_heads: 12,
  encoder_ffn_dim: 3072,
};

/** Florence-2-large: 567.6 M parameters without its decoder (570.7 M in the revision with 4096 positions). */
export const florenceLarge: FlorenceConfig = {
  ...shared,
  dim_embed: [256, 512, 1024, 2048],
  num_heads: [8, 16, 32, 64],
  num_groups: [8, 16, 32, 64],
  d_model: 1024,
  encoder_layers: 12,
  encoder_attention_heads: 16,
  encoder_ffn_dim: 4096,
};

/** Far beyond any Florence-2, and small enough to multiply. */
const RULES: Readonly<Record<keyof FlorenceConfig, Rule>> = {
  dim_embed: listOf(whole(2, 16_384)),
  num_heads: listOf(whole(1, 1024)),
  num_groups: listOf(whole(1, 1024)),
  depths: listOf(whole(0, 1000)),
  window_size: whole(1, 64),
  patch_size: listOf(whole(1, 64)),
  patch_stride: listOf(whole(1, 64)),
  patch_padding: listOf(whole(0, 63)),
  patch_prenorm: listOf(flag),
  drop_path_rate: real(0, 0.999),
  max_pos_embeddings: whole(1, 4096),
  max_temporal_embeddings: whole(1, 65_536),
  vocab_size: whole(2, 2 ** 24), // row 1 is <pad>
  d_model: whole(1, 16_384),
  encoder_layers: whole(0, 1000),
  encoder_attention_heads: whole(1, 1024),
  encoder_ffn_dim: whole(1, 65_536),
  max_position_embeddings: whole(1, 2 ** 20),
  dropout: real(0, 0.999),
};

const PER_STAGE = [
  "num_heads",
  "num_groups",
  "depths",
  "patch_size",
  "patch_stride",
  "patch_padding",
  "patch_prenorm",
] as const;

/** What is wrong with a configuration out of a file, one line each; none for one that a model can be built of. */
export function checkFlorenceConfig(value: unknown): string[] {
  const wrong = checkFields("florence", value, RULES);
  if (wrong.length > 0) return wrong;

  const config = value as FlorenceConfig;
  const stages = config.dim_embed.length;
  for (const field of PER_STAGE) {
    const { length } = config[field];
    if (length !== stages) {
      wrong.push(`florence.${field}: expected one per stage, ${stages} as in dim_embed, found ${length}`);
    }
  }
  if (wrong.length > 0) return wrong;

  const divides = (field: string, width: number, parts: number, of: string): void => {
    if (width % parts !== 0)
      wrong.push(`florence.${field}: expected a divisor of ${of} = ${width}, found ${parts}`);
  };
  config.dim_embed.forEach((width, stage) => {
    divides("num_heads", width, config.num_heads[stage], `dim_embed[${stage}]`);
    divides("num_groups", width, config.num_groups[stage], `dim_embed[${stage}]`);
    const [size, padding] = [config.patch_size[stage], config.patch_padding[stage]];
    if (padding >= size)
      wrong.push(`florence.patch_padding: expected less than patch_size = ${size}, found ${padding}`);
  });
  divides("encoder_attention_heads", config.d_model, config.encoder_attention_heads, "d_model");
  return wrong;
}

/** Numbers in the largest map of a picture: beyond it one picture takes gigabytes. */
const MAX_MAP = 2 ** 28;

/**
 * What is wrong with the side of the square pictures that an encoder is to see, pixels: one line each. The map at the
 * end must have a position for each row, and two pictures and a prompt of `text` tokens one for each token.
 */
export function checkImageSize(config: FlorenceConfig, imageSize: number, text: number): string[] {
  let side = imageSize;
  for (const [stage, width] of config.dim_embed.entries()) {
    const reach = side + 2 * config.patch_padding[stage] - config.patch_size[stage];
    side = reach < 0 ? 0 : Math.floor(reach / config.patch_stride[stage]) + 1;
    if (side === 0)
      return [`imageSize: expected enough pixels for stage ${stage} of the vision tower, found ${imageSize}`];
    // What is largest: the hidden layer, or the attention of each token to its window.
    const window = Math.min(config.window_size, side) ** 2;
    if (side ** 2 * Math.max(4 * width, config.num_heads[stage] * window) > MAX_MAP) {
      return [
        `imageSize: expected a map that fits in memory at stage ${stage}, found ${side} by ${side} of ${width} numbers`,
      ];
    }
  }
  if (side > config.max_pos_embeddings) {
    return [
      `imageSize: expected a map of at most ${config.max_pos_embeddings} by as many tokens, found ${side}`,
    ];
  }
  const tokens = 2 * (1 + side ** 2) + 1 + text;
  if (tokens > config.max_position_embeddings) {
    return [
      `imageSize: expected at most ${config.max_position_embeddings} tokens of two pictures and a prompt, found ${tokens}`,
    ];
  }
  return [];
}
