import {
  checkFinite,
  checkInteger,
  checkOptions,
  checkTensor,
  moveToward,
  noGrad,
  refuse,
  type Tensor,
  tidy,
} from "../core/index.ts";
import { Module } from "./module.ts";
import { moments, normalised } from "./normalised.ts";
import { buffer, constant, parameter } from "./parameter.ts";
import { leaveBehind } from "./side-effects.ts";

export interface BatchNormOptions {
  /** Keeps the divisor from 0; 1e-5 unless given. */
  readonly eps?: number;
  /** The share of the running statistics that each batch replaces, in [0, 1]; 0.1 unless given. */
  readonly momentum?: number;
}

/**
 * Batch normalisation (arXiv:1502.03167) per channel, the last axis: (B, …, C) → same,
 *   y = (x − mean)/√(variance + eps) ⊙ weight + bias
 * While training, mean and variance are those of the batch, over all axes but the last, and running ones follow them:
 *   running ← (1 − momentum) running + momentum · batch
 * where the variance is that of a sample, divided by N − 1. Otherwise the running ones are used. Names are PyTorch's.
 */
export class BatchNorm extends Module {
  weight: Tensor; // (C)
  bias: Tensor; // (C)
  running_mean: Tensor; // (C), not trained
  running_var: Tensor; // (C), not trained
  num_batches_tracked: Tensor; // int32 (), not trained
  readonly eps: number;
  readonly momentum: number;

  constructor(channels: number, options: BatchNormOptions = {}) {
    super();
    checkInteger(channels, 1, "BatchNorm", "channels");
    checkOptions(options, ["eps", "momentum"], "BatchNorm");
    const { eps = 1e-5, momentum = 0.1 } = options;
    checkFinite(eps, "BatchNorm", "eps", 0);
    checkFinite(momentum, "BatchNorm", "momentum", 0);
    if (momentum > 1) refuse("BatchNorm", "momentum in [0, 1]", momentum);
    this.weight = parameter([channels], constant(1));
    this.bias = parameter([channels], constant(0));
    this.running_mean = buffer([channels], constant(0));
    this.running_var = buffer([channels], constant(1));
    this.num_batches_tracked = buffer([], constant(0), "int32");
    this.eps = eps;
    this.momentum = momentum;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "BatchNorm");
    const C = this.weight.size;
    if (x.shape.length < 2 || x.shape.at(-1) !== C) refuse("BatchNorm", `a batch (B, …, ${C})`, x);
    const standard = this.training
      ? this.#byBatch(x)
      : normalised(x, this.running_mean, this.running_var, this.eps);
    return standard.mul(this.weight).add(this.bias);
  }

  #byBatch(x: Tensor): Tensor {
    const count = x.size / this.weight.size;
    if (count < 2) refuse("BatchNorm", "more than one value per channel while training", x);
    const { mean, variance } = moments(
      x,
      x.shape.slice(1).map((_, axis) => axis),
    );
    const C = [this.weight.size];
    const seen = noGrad(() => [mean.reshape(C), variance.reshape(C).scale(count / (count - 1))]);
    leaveBehind(seen, ([batchMean, batchVariance]) => this.#follow(batchMean, batchVariance));
    return normalised(x, mean, variance, this.eps);
  }

  #follow(mean: Tensor, variance: Tensor): void {
    moveToward(this.running_mean, mean, this.momentum);
    moveToward(this.running_var, variance, this.momentum);
    noGrad(() => tidy(() => this.num_batches_tracked.copyFrom(this.num_batches_tracked.shift(1))));
  }
}
