import type { Random, Tensor } from "../core/index.ts";
import type { LogProbTerms } from "../flows/index.ts";
import type { Module } from "../nn/index.ts";
import { type Rule, real, whole } from "./check-config.ts";
import type { InferenceDecoder, InferenceOptions } from "./inference/decoder.ts";

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
  /** Training only: probability of zeroing a number of the features; single numbers, not whole tokens. */
  readonly tokenDropout: number;
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
  /** The decoder made ready for inference. Absent where it has no other form. */
  forInference?(options: InferenceOptions): InferenceDecoder;
}

/** A kind of decoder as a checkpoint's `config.json` names it. */
export interface DecoderKind<C extends ChunkConfig> {
  /** What each field of its configuration may be. */
  readonly rules: Readonly<Record<keyof C, Rule>>;
  /** What is wrong with fields that obey the rules, taken together: one line each. */
  faults(config: C): string[];
  /** Builds one with undefined weights. */
  make(config: C): Decoder;
}

/** Sizes far beyond any decoder of the paper, and small enough to multiply. */
export const CHUNK_RULES: Readonly<Record<keyof ChunkConfig, Rule>> = {
  steps: whole(1, 1000),
  actionWidth: whole(1, 1000),
  features: whole(1, 16_384),
  tokenDropout: real(0, 0.999),
};

/** What is wrong with a number of heads. */
export const checkHeads = ({ width, heads }: { readonly width: number; readonly heads: number }): string[] =>
  width % heads === 0 ? [] : [`decoder.heads: expected a divisor of width = ${width}, found ${heads}`];
