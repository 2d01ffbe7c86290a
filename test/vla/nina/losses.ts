import { grad, Random, tidy } from "../../../core/index.ts";
import { AdamW } from "../../../nn/index.ts";
import type { Decoder, Noise } from "../../../vla/decoder.ts";
import { adamWOptions } from "../../../vla/nina/training.ts";

/** The losses of 20 optimiser steps on one batch of 8, with noise that stays the same: before each step. */
export function lossesOf<N extends Noise>(decoder: Decoder<N>): number[] {
  const { steps, actionWidth, features: width } = decoder.config;
  const optimizer = new AdamW(decoder.namedParameters(), adamWOptions);
  const losses: number[] = [];
  for (let step = 0; step < 20; step++) {
    tidy(() => {
      const features = new Random(8).normals([8, 2, width]);
      const actions = new Random(9).uniforms([8, steps, actionWidth], -1, 1);
      const noise = decoder.drawNoise(8, new Random(10));
      const loss = decoder.loss(actions, decoder.condition(features), noise);
      losses.push(loss.item());
      optimizer.step(grad(loss, optimizer.parameters), 1e-2);
    });
  }
  optimizer.dispose();
  return losses;
}
