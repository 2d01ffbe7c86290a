import { Random, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";

/** The stream that dropout masks are drawn from while training. */
const masks: { random: Random } = { random: new Random(0) };

/** Restarts the stream of dropout masks, so that a training run can be repeated. */
export function seedDropout(seed: number): void {
  masks.random = new Random(seed);
}

/**
 * Zeroes numbers with probability p (rounded to a multiple of 2⁻¹⁶) and scales the rest by 1/(1 − p) while training;
 * does nothing otherwise.
 */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    if (!(p >= 0 && p < 1)) throw new Error(`Dropout: expected a probability in [0, 1), got ${p}`);
    this.p = p;
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    return x.dropout(this.p, masks.random);
  }
}
