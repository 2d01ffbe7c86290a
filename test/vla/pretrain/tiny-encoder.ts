import type { FlorenceConfig } from "../../../vla/florence2/config.ts";
import { miniEncoder } from "../../../vla/pretrain/grounded-encoder.ts";

/** An encoder of two stages, whose map of a picture of 32 × 32 has 4 × 4 tokens. */
export const tinyEncoder: FlorenceConfig = {
  ...miniEncoder,
  dim_embed: [8, 16],
  num_heads: [1, 2],
  num_groups: [1, 2],
  depths: [1, 1],
  window_size: 4,
  patch_size: [7, 3],
  patch_stride: [4, 2],
  patch_padding: [3, 1],
  patch_prenorm: [false, true],
  d_model: 32,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 64,
  vocab_size: 12,
};
