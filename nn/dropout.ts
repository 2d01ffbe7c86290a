import { checkShare, checkTensor, Random, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";

/** The stream that dropout masks are drawn from while training. */
const masks: { random: Random } = { random: new Random(0) };

/** Restarts the stream of dropout masks, so that a training run can be repeated. */
export function seedDropout(seed: number): void {
  masks.random = new Random(seed);
}

/** The stream in use, for a captured training step that draws new masks at each replay. */
export const dropoutStream = (): Random => masks.random;

/**
 * Zeroes numbers with probability p (rounded to a multiple of 2⁻¹⁶) and scales the rest by 1/(1 − p) while training;
 * does nothing otherwise.
 */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    checkShare(p, "Dropout", "a probability");
    this.p = p;
  }

  /** What is dropped, and with which random numbers; null while nothing is. */
  get active(): { readonly p: number; readonly random: Random } | null {
    return this.training && this.p > 0 ? { p: this.p, random: masks.random } : null;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Dropout");
    const { active } = this;
    return active ? x.dropout(active.p, active.random) : x;
  }
}
