import {
  checkInteger,
  checkOptions,
  noGrad,
  type Random,
  refuse,
  Scope,
  sizeOf,
  Tensor,
  tidy,
} from "../core/index.ts";
import type { Flow } from "./flow.ts";

type Box = readonly (readonly [low: number, high: number])[];

export interface QuadratureOptions {
  /** One condition (1, …) for all points. */
  readonly condition?: Tensor;
  /** Points per axis, at least 3, rounded up to a multiple of 3. 256 unless given. */
  readonly points?: number;
  /** Box to integrate over, per axis; found from the flow unless given. */
  readonly box?: Box;
}

/** Integrals over the box. Over all space the total is within `error + outside` of `total`. */
export interface Quadrature {
  /** ∫ p(x) dx: 1 for a density. */
  readonly total: number;
  /** ∫ xᵢ p(x) dx */
  readonly mean: readonly number[];
  /** ∫ xᵢ² p(x) dx */
  readonly square: readonly number[];
  /**
   * How far the total may be off; means by as much, times the largest |xᵢ| of the box, squares times its square. Large
   * where the density is sharp beside the step: then take more points, or a smaller box.
   */
  readonly error: number;
  /**
   * Probability that the box may leave out: near 0 unless a box was given. Enough for tails that fall like 1/x² or
   * faster.
   */
  readonly outside: number;
  readonly box: Box;
}

/** Noise further out than this has probability below 1e-17 per axis. */
const REACH = 8.6;
/** Points that go through the flow at once: enough to keep the kernels busy, few enough to stay in the caches. */
const BATCH = 1024;
/** Every third point along an axis makes a grid of its own. */
const EVERY = 3;
/** Points hide something where the density between them is this many times as large as at all points around. */
const HIDDEN = 2;

/**
 * Integrates the density of a float64 flow over one or two dimensions by the midpoint rule, which for smooth densities
 * that vanish at the ends converges faster than any power of the step. A flow whose `logProb` is right integrates to 1;
 * one whose bijectors are not one-to-one, or whose log-determinants are wrong, does not.
 *
 * The error is judged from the same points. Every third of them, along each axis, is a rule with three times the step.
 * (Of two rules with twice the step, one mirrors the other where the density is symmetric: they agree even if both are
 * wrong.) A peak between all points shows in the images of a grid of noise, where the density is far above theirs. And
 * a density that ends with the box may have ended half a step before.
 */
export function integrate(flow: Flow, options: QuadratureOptions = {}): Quadrature {
  checkOptions(options, ["condition", "points", "box"], "integrate");
  const { points = 256, condition } = options;
  const D = sizeOf(flow.base.event);
  if (D !== 1 && D !== 2) throw new Error(`integrate: expected one or two dimensions, got ${D}`);
  checkInteger(points, EVERY, "integrate", "points");
  if (condition && condition.shape[0] !== 1)
    refuse("integrate", "one condition (1, …) for all points", condition);
  if (options.box) checkBox(options.box, D);

  const noise = noiseGrid(D);
  const images = throughFlow(
    flow,
    noise,
    condition,
    (z, c) => flow.inverse(flow.base.fromNoise(z, 1), c).out,
  );
  const box = options.box ?? boxAround(images, D);
  const grid = makeGrid(box, EVERY * Math.ceil(points / EVERY));
  const density = densities(flow, grid.points, condition);
  const { sums, beyond, ends } = integrals(grid, density);
  const shares = noiseShares(grid, density, images, densities(flow, images, condition), noise);

  const [total, ...rest] = sums.reduce((all, part) => all.map((sum, k) => sum + part[k]));
  const coarse = Math.max(...sums.map((part) => Math.abs(sums.length * part[0] - total)));
  return {
    total,
    mean: rest.slice(0, D),
    square: rest.slice(D),
    error: coarse + ends + shares.unseen,
    outside: grid.side * beyond + shares.outside,
    box,
  };
}

/**
 * How far the first and second moments of samples are from their integrals, in standard errors: the largest over
 * entries. Samples of the right distribution stay below 4.5 but for once in some 100,000 draws.
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

/** Midpoints of `side` cells per axis, and beyond each end one more, at which nothing is integrated. */
interface Grid {
  readonly side: number;
  readonly cell: number;
  /** (count, D): the first axis varies fastest. */
  readonly points: Float64Array;
  /** Where a point lies, in steps from the grid's first point. */
  place(x: number, axis: number): number;
}

function makeGrid(box: Box, side: number): Grid {
  const steps = box.map(([low, high]) => (high - low) / side);
  return {
    side,
    cell: steps.reduce((product, step) => product * step, 1),
    points: lattice(side + 2, box.length, (i, axis) => box[axis][0] + (i - 0.5) * steps[axis]),
    place: (x, axis) => (x - box[axis][0]) / steps[axis] + 0.5,
  };
}

/** A regular grid of noise, (count, D), out to where the standard normal has no weight left. */
function noiseGrid(D: number): Float64Array {
  const side = D === 1 ? 2049 : 65;
  return lattice(side, D, (i) => REACH * ((2 * i) / (side - 1) - 1));
}

/** Points (side^D, D) with the coordinates `at(i, axis)`, i below `side`. */
function lattice(side: number, D: number, at: (i: number, axis: number) => number): Float64Array {
  const points = new Float64Array(side ** D * D);
  for (let k = 0; k < points.length; k++) {
    const [row, axis] = [Math.floor(k / D), k % D];
    points[k] = at(Math.floor(row / side ** axis) % side, axis);
  }
  return points;
}

const densities = (flow: Flow, points: Float64Array, condition?: Tensor): Float64Array =>
  throughFlow(flow, points, condition, (x, c) => flow.logProb(x, c)).map(Math.exp);

/** What `map` makes of points (count, D), a batch at a time. */
function throughFlow(
  flow: Flow,
  points: Float64Array,
  condition: Tensor | undefined,
  map: (x: Tensor, condition?: Tensor) => Tensor,
): Float64Array {
  const { event } = flow.base;
  const count = points.length / sizeOf(event);
  const out: number[] = [];
  for (let from = 0; from < count; from += BATCH) {
    tidy(() => {
      const rows = Math.min(BATCH, count - from);
      const batch = points.subarray(from * sizeOf(event), (from + rows) * sizeOf(event));
      const x = Tensor.from(batch, [rows, ...event], "float64");
      out.push(...noGrad(() => map(x, repeated(condition, rows))).data);
    });
  }
  return Float64Array.from(out);
}

interface Integrals {
  /** Of each coarser grid: p, then every xᵢ p, then every xᵢ² p, times the size of a cell. */
  readonly sums: number[][];
  /**
   * p half a step beyond the ends, times the size of a cell. Where there is no density (NaN) there is no probability.
   */
  readonly beyond: number;
  /** How far p is from what it is one step further in, likewise. */
  readonly ends: number;
}

function integrals({ side, cell, points }: Grid, density: Float64Array): Integrals {
  const D = points.length / density.length;
  const pitch = side + 2;
  const sums = Array.from({ length: EVERY ** D }, () => new Array<number>(1 + 2 * D).fill(0));
  let [beyond, ends] = [0, 0];
  for (let k = 0; k < density.length; k++) {
    const weight = cell * density[k];
    let [coarse, inwards] = [0, 0];
    for (let d = 0; d < D; d++) {
      const i = Math.floor(k / pitch ** d) % pitch;
      coarse += (i % EVERY) * EVERY ** d;
      if (i === 0) inwards += pitch ** d;
      if (i > side) inwards -= pitch ** d;
    }
    if (inwards !== 0) {
      const there = Number.isNaN(weight) ? 0 : weight;
      beyond += there;
      ends += Math.abs(cell * density[k + inwards] - there);
      continue;
    }
    const sum = sums[coarse];
    sum[0] += weight;
    for (let d = 0; d < D; d++) {
      const x = points[k * D + d];
      sum[1 + d] += weight * x;
      sum[1 + D + d] += weight * x * x;
    }
  }
  return { sums, beyond, ends };
}

/**
 * Shares of the noise: with images outside the box, and with images that are far denser than all points around them.
 */
function noiseShares(
  grid: Grid,
  density: Float64Array,
  images: Float64Array,
  imageDensity: Float64Array,
  noise: Float64Array,
): { outside: number; unseen: number } {
  const D = images.length / imageDensity.length;
  const pitch = grid.side + 2;
  let [outside, unseen, all] = [0, 0, 0];
  for (let k = 0; k < imageDensity.length; k++) {
    const z = noise.subarray(k * D, (k + 1) * D);
    const share = Math.exp(-0.5 * z.reduce((sum, value) => sum + value * value, 0));
    all += share;
    const corner = Array.from(z, (_, d) => Math.floor(grid.place(images[k * D + d], d)));
    if (!corner.every((i) => i >= 0 && i + 1 < pitch)) {
      outside += share;
      continue;
    }
    let around = 0;
    for (let side = 0; side < 2 ** D; side++) {
      const at = corner.reduce((sum, i, d) => sum + (i + ((side >> d) & 1)) * pitch ** d, 0);
      if (density[at] > around) around = density[at]; // not NaN
    }
    if (imageDensity[k] > HIDDEN * around) unseen += share;
  }
  return { outside: outside / all, unseen: unseen / all };
}

function checkBox(box: Box, D: number): void {
  if (!Array.isArray(box) || box.length !== D)
    refuse("integrate", `a box with [low, high] for each of ${D} axes`, box);
  for (const side of box) {
    const [low, high] = Array.isArray(side) ? side : [];
    if (!(Number.isFinite(low) && Number.isFinite(high) && low < high))
      refuse("integrate", "[low, high] of the box to be finite and in order", side);
  }
}

/** The smallest box around the images of the grid of noise. */
function boxAround(images: Float64Array, D: number): Box {
  return Array.from({ length: D }, (_, d) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let k = d; k < images.length; k += D) {
      low = Math.min(low, images[k]);
      high = Math.max(high, images[k]);
    }
    return [low, high] as const;
  });
}

const repeated = (condition: Tensor | undefined, count: number): Tensor | undefined =>
  condition?.broadcastTo([count, ...condition.shape.slice(1)]);
