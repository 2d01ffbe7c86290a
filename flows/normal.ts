import { type Shape, sizeOf, type Tensor } from "../core/index.ts";
import { constant, Module, parameter } from "../nn/index.ts";
import { checkEvent, sumEvent } from "./bijector.ts";

/** Where a flow's noise comes from. */
export interface Base extends Module {
  /** Shape of one sample, without the batch. */
  readonly event: Shape;
  /** log p(z) in nats: (B, …event) → (B). */
  logProb(z: Tensor): Tensor;
  /** Standard normal numbers (B, …event) made a sample of this distribution, its spread scaled by `temperature`. */
  fromNoise(noise: Tensor, temperature: number): Tensor;
}

/** ½ log 2π, of the logarithm of the normal density. */
export const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);

/** N(0, I):  log p(z) = −½ Σ (z² + log 2π) */
export class StandardNormal extends Module implements Base {
  readonly event: Shape;

  constructor(event: Shape) {
    super();
    this.event = event;
  }

  logProb(z: Tensor): Tensor {
    checkEvent(z, this.event, "StandardNormal");
    return sumEvent(z.square())
      .scale(-0.5)
      .shift(-HALF_LOG_TWO_PI * sizeOf(this.event));
  }

  fromNoise(noise: Tensor, temperature: number): Tensor {
    checkEvent(noise, this.event, "StandardNormal");
    return temperature === 1 ? noise : noise.scale(temperature);
  }
}

/** N(μ, diag σ²) with learned μ and log σ:  log p(z) = −½ Σ (((z − μ)/σ)² + log 2π) − Σ log σ */
export class DiagonalNormal extends Module implements Base {
  mean: Tensor;
  log_std: Tensor;
  readonly event: Shape;

  constructor(event: Shape) {
    super();
    this.event = event;
    this.mean = parameter(event, constant(0));
    this.log_std = parameter(event, constant(0));
  }

  logProb(z: Tensor): Tensor {
    checkEvent(z, this.event, "DiagonalNormal");
    const standard = z.sub(this.mean).mul(this.log_std.neg().exp());
    return sumEvent(standard.square())
      .scale(-0.5)
      .sub(this.log_std.sum())
      .shift(-HALF_LOG_TWO_PI * sizeOf(this.event));
  }

  fromNoise(noise: Tensor, temperature: number): Tensor {
    checkEvent(noise, this.event, "DiagonalNormal");
    return noise.mul(this.log_std.exp().scale(temperature)).add(this.mean);
  }
}
