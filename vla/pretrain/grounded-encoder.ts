import { concat, type Tensor } from "../../core/index.ts";
import { buffer, Linear, Module } from "../../nn/index.ts";
import type { FlorenceConfig } from "../florence2/config.ts";
import { Florence2 } from "../florence2/model.ts";
import { THINGS } from "./named-things.ts";

/** The small encoder of the embedded policy: Florence-2's shape, with a map of 8 × 8 tokens of a picture of 64 × 64. */
export const miniEncoder: Omit<FlorenceConfig, "vocab_size"> = {
  dim_embed: [16, 32, 48, 64],
  num_heads: [1, 2, 3, 4],
  num_groups: [1, 2, 3, 4],
  depths: [1, 1, 1, 1],
  window_size: 8,
  patch_size: [7, 3, 3, 3],
  patch_stride: [4, 2, 1, 1], // twice 2 more would leave a map too coarse to point into
  patch_padding: [3, 1, 1, 1],
  patch_prenorm: [false, true, true, true],
  drop_path_rate: 0,
  max_pos_embeddings: 20,
  max_temporal_embeddings: 1,
  d_model: 64,
  encoder_layers: 2,
  encoder_attention_heads: 4,
  encoder_ffn_dim: 128,
  max_position_embeddings: 256,
  dropout: 0,
};

const CAMERAS = 2;
/** Width of what the actions are read from. */
const BOTTLENECK = 128;

export interface HeadsConfig {
  /** Width of the encoder's features, d. */
  readonly features: number;
  /** Tokens of each picture's map, N. */
  readonly tokens: number;
  /** Actions of a chunk, T, and numbers per action, A. */
  readonly steps: number;
  readonly actionWidth: number;
}

/** What the heads read from features. */
export interface Readings {
  /** How much each token of a map looks like the place of a thing, before softmax, (B, cameras · things, N). */
  readonly logits: Tensor;
  /** Positions of the things (B, 9), as `places` in `Targets`. */
  readonly places: Tensor;
  /** (B, T · A) */
  readonly actions: Tensor;
}

/** What the heads are to read. */
export interface Targets {
  /**
   * Shares of the tokens that show a thing, of sum 1; all 0 where a picture does not show it: (B, cameras · things, N).
   */
  readonly tokens: Tensor;
  /** Positions in the world, (B, 9), metres. */
  readonly places: Tensor;
  /** (B, T · A) */
  readonly actions: Tensor;
  /** How much an example's actions count, (B, 1): shares that sum to 1, 0 where there is nothing to learn from them. */
  readonly weights: Tensor;
}

/** Positions are learnt in this unit, metres. */
const UNIT = 0.2;
/** Shares of the loss. */
const GROUND = 0.3;
const PLACE = 5;
const ACTION = 5;

/**
 * Reads what is where, and what to do, from an encoder's features, to teach the encoder to put it there: each token of
 * a map tells whether it shows a thing, their mean tells all positions and actions. Left behind when a decoder comes.
 */
export class GroundingHeads extends Module {
  pointer: Linear;
  place: Linear;
  bottleneck: Linear;
  hidden: Linear;
  action: Linear;
  /** Mean position of each thing, (1, 9), metres: what `place` reads is relative to it. */
  middle: Tensor;
  readonly #tokens: number;

  constructor({ features, tokens, steps, actionWidth }: HeadsConfig) {
    super();
    this.pointer = new Linear(features, THINGS.length);
    this.place = new Linear(features, 3 * THINGS.length);
    this.bottleneck = new Linear(features, BOTTLENECK);
    this.hidden = new Linear(BOTTLENECK, BOTTLENECK);
    this.action = new Linear(BOTTLENECK, steps * actionWidth);
    this.middle = buffer([1, 3 * THINGS.length], (tensor) => tensor.fill(0));
    this.#tokens = tokens;
  }

  /** Features (B, 2 (1 + N) + 1 + L, d) as `Florence2` gives them. */
  read(features: Tensor): Readings {
    const N = this.#tokens;
    const maps = Array.from({ length: CAMERAS }, (_, camera) => {
      const start = camera * (1 + N) + 1; // after the mean over the map
      return this.pointer.forward(features.slice(1, start, start + N)).permute([0, 2, 1]); // (B, things, N)
    });
    const pooled = features.mean([1]);
    const condition = this.bottleneck.forward(pooled);
    return {
      logits: concat(maps, 1),
      places: this.place.forward(pooled).scale(UNIT).add(this.middle),
      actions: this.action.forward(this.hidden.forward(condition.gelu()).gelu()),
    };
  }
}

/**
 * The grounding loss and its parts:
 *
 *   0.3 Σ −share log p(token)  +  5 mean ((place − place*) / 0.2 m)²  +  5 Σ w mean (action − action*)²
 *
 * the first a mean over examples of the sum over cameras and things.
 */
export function groundingLoss(
  read: Readings,
  targets: Targets,
): { loss: Tensor; pointing: Tensor; places: Tensor; actions: Tensor } {
  const { B } = read.logits.dims("B K N", "groundingLoss");
  const likelihoods = read.logits.softmax().shift(1e-8).log(); // a token of no likelihood costs 18 nats, not ∞
  const pointing = likelihoods
    .mul(targets.tokens)
    .sumTo([1])
    .reshape([])
    .scale(-1 / B);
  const places = read.places
    .sub(targets.places)
    .scale(1 / UNIT)
    .square()
    .mean();
  const actions = read.actions
    .sub(targets.actions)
    .square()
    .mean([1], true)
    .mul(targets.weights)
    .sumTo([1])
    .reshape([]);
  const loss = pointing.scale(GROUND).add(places.scale(PLACE)).add(actions.scale(ACTION));
  return { loss, pointing, places, actions };
}

/** An encoder with its heads, under the names of a checkpoint: the encoder's begin with `vlm.`. */
export class GroundedEncoder extends Module {
  vlm: Florence2;
  heads: GroundingHeads;

  constructor(florence: FlorenceConfig, heads: HeadsConfig) {
    super();
    this.vlm = new Florence2(florence);
    this.heads = new GroundingHeads(heads);
  }

  /** Pixels (B, 3, S, S) of both cameras and prompts int32 (B, L). Ops alone, so it can be captured. */
  read(agentview: Tensor, wrist: Tensor, ids: Tensor): Readings {
    return this.heads.read(this.vlm.forward([agentview, wrist], ids));
  }
}

/** Tokens of the map of a square picture of side `imageSize`. */
export function mapTokens(
  { patch_size, patch_stride, patch_padding }: Omit<FlorenceConfig, "vocab_size">,
  imageSize: number,
): number {
  const side = patch_size.reduce(
    (length, size, stage) => Math.floor((length + 2 * patch_padding[stage] - size) / patch_stride[stage]) + 1,
    imageSize,
  );
  return side * side;
}
