import type { Random, Tensor } from "../core/index.ts";
import { Module } from "../nn/index.ts";
import type { Bijector, Mapped } from "./bijector.ts";
import { compose, forwardSteps, inverseSteps } from "./chain.ts";
import type { Base } from "./normal.ts";

/** log p(x) taken apart. All in nats, (B). Their sum is the log-probability. */
export interface LogProbTerms {
  /** log p(z) of the noise that x is mapped to. */
  readonly base: Tensor;
  /** log |det J| of each layer, first layer first. */
  readonly layers: readonly Tensor[];
}

export interface SampleOptions {
  /** (B, …), passed to every layer. */
  readonly condition?: Tensor;
  /** Scales the spread of the noise: below 1 samples stay nearer to the mode. 1 unless given. */
  readonly temperature?: number;
  /** Of the samples; the flow's own parameters' unless given. */
  readonly dtype?: "float32" | "float64";
}

/**
 * A normalizing flow (arXiv:1505.05770): a base distribution seen through a chain of bijectors,
 *   log p(x | c) = log p_base(z) + Σᵢ log |det Jᵢ|    with z = fₙ(… f₁(x; c) …; c)
 */
export class Flow extends Module {
  layers: Bijector[];
  base: Base;

  constructor(layers: Bijector[], base: Base) {
    super();
    this.layers = layers;
    this.base = base;
  }

  /** Data (B, …event) to noise. */
  forward(x: Tensor, condition?: Tensor): Mapped {
    return compose(forwardSteps(this.layers, x, condition), x);
  }

  /** Noise (B, …event) to data. */
  inverse(z: Tensor, condition?: Tensor): Mapped {
    return compose(inverseSteps(this.layers, z, condition), z);
  }

  /** log p(x | condition) in nats: (B, …event) → (B). */
  logProb(x: Tensor, condition?: Tensor): Tensor {
    const { out, logDet } = this.forward(x, condition);
    return this.base.logProb(out).add(logDet);
  }

  /** What each layer and the base contribute to `logProb`. */
  logProbTerms(x: Tensor, condition?: Tensor): LogProbTerms {
    const steps = forwardSteps(this.layers, x, condition);
    return { base: this.base.logProb(steps.at(-1)?.out ?? x), layers: steps.map((step) => step.logDet) };
  }

  /** Draws `count` samples: (count, …event). */
  sample(count: number, random: Random, options: SampleOptions = {}): Tensor {
    const { condition, temperature = 1, dtype = this.parameters()[0]?.dtype } = options;
    const noise = random.normals([count, ...this.base.event], dtype);
    return this.inverse(this.base.shape(noise, temperature), condition).out;
  }
}
