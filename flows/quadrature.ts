import { type Random, Scope, Tensor } from "../core/index.ts";
import type { Flow } from "./flow.ts";

export interface QuadratureOptions {
  /** One condition (1, …) for all points. */
  readonly condition?: Tensor;
  /** Points per axis, 256 unless given. */
  readonly points?: number;
  /** Box to integrate over, per axis; found from the flow unless given. */
  readonly box?: readonly (readonly [low: number, high: number])[];
}

export interface Quadrature {
  /** ∫ p(x) dx: 1 for a density. */
  readonly total: number;
  /** ∫ xᵢ p(x) dx */
  readonly mean: readonly number[];
  /** ∫ xᵢ² p(x) dx */
  readonly square: readonly number[];
  readonly box: readonly (readonly [low: number, high: number])[];
}

/** Noise further out than this has probability below 1e-17 per axis. */
const REACH = 8.6;

/**
 * Integrates the density of a float64 flow over one or two dimensions by the midpoint rule, which for smooth densities that
 * vanish at the ends converges faster than any power of the step. A flow whose `logProb` is right integrates to 1;
 * one whose bijectors are not one-to-one, or whose log-determinants are wrong, does not.
 */
export function integrate(flow: Flow, options: QuadratureOptions = {}): Quadrature {
  const { points = 256 } = options;
  const D = flow.base.event.reduce((product, length) => product * length, 1);
  if (D > 2) throw new Error(`integrate: expected one or two dimensions, got ${D}`);
  const box = options.box ?? support(flow, D, options.condition);
  const steps = box.map(([low, high]) => (high - low) / points);
  const cell = steps.reduce((product, step) => product * step, 1);
  const at = (axis: number, i: number): number => box[axis][0] + (i + 0.5) * steps[axis];

  const sums = { total: 0, mean: new Array<number>(D).fill(0), square: new Array<number>(D).fill(0) };
  const rows = D === 1 ? 1 : points;
  for (let row = 0; row < rows; row++) {
    using _ = new Scope();
    const x = Tensor.empty([points, D], "float64");
    for (let i = 0; i < points; i++) {
      x.data[i * D] = at(0, i);
      if (D === 2) x.data[i * D + 1] = at(1, row);
    }
    const event = x.reshape([points, ...flow.base.event]);
    const density = flow.logProb(event, repeated(options.condition, points)).data;
    for (let i = 0; i < points; i++) {
      const weight = cell * Math.exp(density[i]);
      sums.total += weight;
      for (let d = 0; d < D; d++) {
        sums.mean[d] += weight * x.data[i * D + d];
        sums.square[d] += weight * x.data[i * D + d] ** 2;
      }
    }
  }
  return { ...sums, box };
}

/**
 * How far the first and second moments of samples are from their integrals, in standard errors: the largest over entries.
 * Samples of the right distribution stay below 4.5 but for once in some 100,000 draws.
 */
export function samplingError(
  flow: Flow,
  { mean, square }: Quadrature,
  random: Random,
  { condition, count = 4000 }: { condition?: Tensor; count?: number } = {},
): number {
  using _ = new Scope();
  const D = mean.length;
  const { data } = flow.sample(count, random, { condition: repeated(condition, count), dtype: "float64" });
  const entries = mean.map((_, d) => Array.from({ length: count }, (_, i) => data[i * D + d]));
  const errors = entries.flatMap((values, d) => [
    standardErrors(values, mean[d]),
    standardErrors(
      values.map((v) => v * v),
      square[d],
    ),
  ]);
  return Math.max(...errors);
}

/** How many standard errors the mean of values is from what it should be. */
function standardErrors(values: readonly number[], expected: number): number {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return Math.abs(mean - expected) / Math.sqrt(variance / n);
}

/** The smallest box around the images of a grid of noise that reaches as far as noise does. */
function support(flow: Flow, D: number, condition?: Tensor): [number, number][] {
  using _ = new Scope();
  const side = D === 1 ? 2049 : 65;
  const count = side ** D;
  const z = Tensor.empty([count, D], "float64");
  for (let i = 0; i < count; i++) {
    for (let d = 0; d < D; d++) {
      const place = Math.floor(i / side ** d) % side;
      z.data[i * D + d] = REACH * ((2 * place) / (side - 1) - 1);
    }
  }
  const noise = flow.base.shape(z.reshape([count, ...flow.base.event]), 1);
  const { out } = flow.inverse(noise, repeated(condition, count));
  return Array.from({ length: D }, (_, d) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = 0; i < count; i++) {
      low = Math.min(low, out.data[i * D + d]);
      high = Math.max(high, out.data[i * D + d]);
    }
    return [low, high];
  });
}

const repeated = (condition: Tensor | undefined, count: number): Tensor | undefined =>
  condition?.broadcastTo([count, ...condition.shape.slice(1)]);
