import { checkFinite, type Random, refuse, showShape, type Tensor } from "../core/index.ts";
import { Module } from "../nn/index.ts";
import { type Bijector, checkEvent, type Mapped } from "./bijector.ts";
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
  /** Scales the spread of the noise, at least 0: below 1 samples stay nearer to the mode. 1 unless given. */
  readonly temperature?: number;
  /** Of the samples; the flow's own parameters' unless given. */
  readonly dtype?: "float32" | "float64";
}

/**
 * A normalizing flow (arXiv:1505.05770): a base distribution seen through a chain of bijectors,
 *   log p(x | c) = log p_base(z) + Σᵢ log |det Jᵢ|    with z = fₙ(… f₁(x; c) …; c)
 * A condition has a row per sample. Throws for one that no layer can use (see `Bijector.conditional`), since it would
 * change nothing; a layer that needs one throws when there is none.
 */
export class Flow extends Module {
  layers: Bijector[];
  base: Base;

  constructor(layers: Bijector[], base: Base) {
    super();
    this.layers = layers;
    this.base = base;
    if (!Array.isArray(layers)) refuse("Flow", "an array of bijectors", layers);
    for (const layer of layers) if (!isBijector(layer)) refuse("Flow", "layers to be bijectors", layer);
    if (!(base instanceof Module)) refuse("Flow", "a base distribution as second argument", base);
  }

  /** Data (B, …event) to noise. */
  forward(x: Tensor, condition?: Tensor): Mapped {
    this.#checkCondition(x, condition);
    return compose(forwardSteps(this.layers, x, condition), x);
  }

  /** Noise (B, …event) to data. */
  inverse(z: Tensor, condition?: Tensor): Mapped {
    checkEvent(z, this.base.event, "Flow.inverse");
    this.#checkCondition(z, condition);
    return compose(inverseSteps(this.layers, z, condition), z);
  }

  /** log p(x | condition) in nats: (B, …event) → (B). */
  logProb(x: Tensor, condition?: Tensor): Tensor {
    const { out, logDet } = this.forward(x, condition);
    return this.base.logProb(out).add(logDet);
  }

  /** What each layer and the base contribute to `logProb`. */
  logProbTerms(x: Tensor, condition?: Tensor): LogProbTerms {
    this.#checkCondition(x, condition);
    const steps = forwardSteps(this.layers, x, condition);
    return { base: this.base.logProb(steps.at(-1)?.out ?? x), layers: steps.map((step) => step.logDet) };
  }

  /** Draws `count` samples: (count, …event). */
  sample(count: number, random: Random, options: SampleOptions = {}): Tensor {
    const { condition, temperature = 1, dtype = this.parameters()[0]?.dtype } = options;
    checkFinite(temperature, "Flow.sample", "temperature", 0);
    const noise = random.normals([count, ...this.base.event], dtype);
    return this.inverse(this.base.fromNoise(noise, temperature), condition).out;
  }

  /** Whether a condition can change the density. */
  get conditional(): boolean {
    return this.layers.some((layer) => layer.conditional);
  }

  #checkCondition(x: Tensor, condition?: Tensor): void {
    if (!condition) return;
    if (!this.conditional) {
      const kinds = [...new Set(this.layers.map((layer) => layer.constructor.name))].join(", ");
      throw new Error(
        `Flow: expected no condition, as no layer can use one (${kinds || "there is none"}), ` +
          `got ${showShape(condition.shape)}`,
      );
    }
    if (condition.shape[0] !== x.shape[0]) {
      throw new Error(
        `Flow: expected a condition for each of ${x.shape[0]} samples, got ${showShape(condition.shape)}`,
      );
    }
  }
}

const isBijector = (layer: Partial<Bijector> | null | undefined): boolean =>
  typeof layer?.forward === "function" && typeof layer.inverse === "function";
