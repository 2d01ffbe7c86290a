import type { Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { constant, parameter } from "./parameter.ts";

/** Root-mean-square normalisation over the last axis (arXiv:1910.07467): x / √(mean x² + eps) · weight. */
export class RMSNorm extends Module {
  weight: Tensor;
  readonly eps: number;

  constructor(features: number, eps = 1e-6) {
    super();
    this.weight = parameter([features], constant(1));
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    const size = x.square().mean([-1], true).shift(this.eps).sqrt(); // (…, 1)
    return x.div(size).mul(this.weight);
  }
}
