/** Sizes of a Florence-2 encoder, spelled as in the published `config.json` (its vision part and its text part in one). */
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
