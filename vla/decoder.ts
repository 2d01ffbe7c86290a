import type { Random, Tensor } from "../core/index.ts";
import type { LogProbTerms } from "../flows/index.ts";
import type { Module } from "../nn/index.ts";

/** Random numbers that one evaluation of a decoder's loss needs, by name. */
export type Noise = Readonly<Record<string, Tensor>>;

/** Sizes every decoder has. */
export interface ChunkConfig {
  /** Actions per chunk, T. */
  readonly steps: number;
  /** Numbers per action, A. */
  readonly actionWidth: number;
  /** Width of the encoder's features, H. */
  readonly features: number;
}

/**
 * Turns what the encoder saw into a chunk of actions. Actions are (B, T, A), each number in [−1, 1].
 * `condition` runs once per observation; `sample`, `logProb` and `loss` take what it returns, whatever its shape.
 */
export interface Decoder<N extends Noise = Noise> extends Module {
  readonly config: ChunkConfig;
  /** Encoder features (B, S, H) → what the decoder conditions on; its first axis is B. */
  condition(features: Tensor): Tensor;
  /** Standard normal z (B, T, A) → actions clamped to [−1, 1], (B, T, A). */
  sample(z: Tensor, condition: Tensor): Tensor;
  /** log p(actions | condition) in nats, (B). Absent where the decoder has no density. */
  logProb?(actions: Tensor, condition: Tensor): Tensor;
  /** `logProb` taken apart into the base's share and each layer's. Present where `logProb` is. */
  logProbTerms?(actions: Tensor, condition: Tensor): LogProbTerms;
  /** The training loss, a scalar. */
  loss(actions: Tensor, condition: Tensor, noise: N): Tensor;
  /** Draws what `loss` needs for a batch of B. */
  drawNoise(batch: number, random: Random): N;
}
