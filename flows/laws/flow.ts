import { noGrad, Random, Scope, sizeOf, Tensor, tidy } from "../../core/index.ts";
import type { Flow } from "../flow.ts";
import { slopeMeasure } from "./gradient.ts";
import {
  distance,
  type Instances,
  inTraining,
  type Law,
  type Measure,
  type Numbers,
  type Trial,
  worst,
} from "./trial.ts";

/** A flow, and the trial of it as a bijector. */
export interface FlowTrial {
  readonly instances: Instances<Flow>;
  readonly trial: Trial;
  readonly seed: number;
}

/** The laws of a density: those of its map are the laws of bijectors. */
export const flowLaws = {
  logProb: {
    name: "logProb(x) = log p_base(z) + log |det J|",
    precision: "float64",
    measure: logProb,
  },
  logProbTerms: { name: "the terms of logProb add up to it", precision: "float64", measure: logProbTerms },
  logProb32: { name: "logProb in float32 agrees with float64", precision: "float32", measure: logProb32 },
  gradient: { name: "gradients are slopes", precision: "slope", measure: gradient },
  samples: { name: "samples are those of the density", precision: "chance", measure: samples },
  integral: { name: "the density integrates to one", precision: "integral", measure: integral },
} as const satisfies Record<string, Law<FlowTrial>>;

/** max |logProb(x) − log p_base(forward(x)) − logDet| */
function logProb({ instances: { exact }, trial }: FlowTrial): Measure {
  const { x, condition } = trial.input;
  const { out, logDet } = trial.forward;
  const tensor = ({ data, shape }: Numbers): Tensor => Tensor.from(data, shape, "float64");
  return noGrad(() => {
    const expected = exact.base.logProb(tensor(out)).add(tensor(logDet));
    return { error: distance(exact.logProb(x, condition), expected) };
  });
}

/** max |base + Σ layers − logProb(x)| */
function logProbTerms({ instances: { exact }, trial }: FlowTrial): Measure {
  const { x, condition } = trial.input;
  return noGrad(() => {
    const { base, layers } = exact.logProbTerms(x, condition);
    const sum = layers.reduce((total, term) => total.add(term), base);
    return { error: distance(sum, exact.logProb(x, condition)) };
  });
}

/** max |logProb in float32 − in float64|, relative to those above 1. */
function logProb32({ instances: { exact, fast }, trial }: FlowTrial): Measure {
  const { x, condition } = trial.input;
  const small = (t: Tensor): Tensor => Tensor.from(t.data, t.shape, "float32");
  return noGrad(() => ({
    error: distance(fast.logProb(small(x), condition && small(condition)), exact.logProb(x, condition)),
  }));
}

/**
 * As for bijectors, of `forward`, `inverse` and `logProb`, with all parameters moved along one direction: one by one
 * they are tried in their layers.
 */
function gradient({ instances: { exact }, trial }: FlowTrial): Measure {
  const { x, z, condition } = trial.at([0]);
  const [point, noise] = [x.tracked(), z.tracked()];
  const c = condition?.tracked();
  const targets = [
    { name: "x", tensors: [point] },
    { name: "z", tensors: [noise] },
    ...(c ? [{ name: "the condition", tensors: [c] }] : []),
    { name: "the parameters", tensors: exact.parameters() },
  ];
  return inTraining(exact, () =>
    slopeMeasure(targets, () => {
      const [there, back] = [exact.forward(point, c), exact.inverse(noise, c)];
      return {
        "forward's output": there.out,
        "forward's log-determinant": there.logDet,
        "inverse's output": back.out,
        "inverse's log-determinant": back.logDet,
        logProb: exact.logProb(point, c),
      };
    }),
  );
}

/** Samples drawn to compare: of few numbers each many, so that a spread 1.2 times too wide shows. */
const countFor = (N: number): number => (N <= 8 ? 2048 : 256);

/**
 * How far the noise of samples, z = forward(sample), is from noise drawn from the base, in standard errors of their
 * difference: the largest over the means of log p(z), of every entry and of its square, at temperatures 1 and ½.
 */
function samples({ instances: { fast }, trial, seed }: FlowTrial): Measure {
  const { event } = fast.base;
  const N = sizeOf(event);
  const count = countFor(N);
  return worst(
    [1, 0.5].map((temperature, stream) =>
      noGrad(() => {
        using _ = new Scope();
        const random = new Random(seed, 20 + stream);
        const C = trial.input.condition?.shape.slice(1);
        const condition = C && random.normals([count, ...C]);
        const x = fast.sample(count, random, { condition, temperature, dtype: "float32" });
        const found = fast.forward(x, condition).out;
        const drawn = fast.base.fromNoise(random.normals([count, ...event]), temperature);
        const columns = (z: Tensor): Float64Array[] => {
          const entry = (i: number): Float64Array =>
            Float64Array.from({ length: count }, (_, b) => z.data[b * N + i]);
          const entries = Array.from({ length: N }, (_, i) => entry(i));
          return [
            Float64Array.from(fast.base.logProb(z).data),
            ...entries,
            ...entries.map((v) => v.map((a) => a * a)),
          ];
        };
        const [a, b] = [columns(found), columns(drawn)];
        return {
          error: Math.max(...a.map((column, i) => standardErrors(column, b[i]))),
          at: `temperature ${temperature}`,
        };
      }),
    ),
  );
}

/** How many standard errors two means are apart. */
function standardErrors(a: Float64Array, b: Float64Array): number {
  const mean = (v: Float64Array): number => v.reduce((sum, x) => sum + x, 0) / v.length;
  const variance = (v: Float64Array): number => {
    const m = mean(v);
    return v.reduce((sum, x) => sum + (x - m) ** 2, 0) / (v.length - 1);
  };
  const apart = Math.abs(mean(a) - mean(b));
  if (apart === 0) return 0; // as of the log-probabilities of a uniform base, which have no spread
  const error = apart / Math.sqrt((variance(a) + variance(b)) / a.length);
  return Number.isFinite(error) ? error : Number.POSITIVE_INFINITY;
}

/** Points per axis of the integrals. */
const GRID = { 1: 4096, 2: 160 } as const;

/**
 * |∫ p(x) dx − 1| for one or two dimensions. It reaches 1,500 times as far as samples usually do, on both sides, so
 * that a map that is not one to one counts more than once. Twice the difference to half as many points is taken off:
 * what the rule may be off by itself. 0 in higher dimensions.
 */
function integral({ instances: { exact, twin }, trial, seed }: FlowTrial): Measure {
  const D = sizeOf(exact.base.event);
  if (D !== 1 && D !== 2) return { error: 0 };
  const condition = trial.input.condition?.slice(0, 0, 1);
  const axes = axesOf(twin, condition, seed);
  const [fine, coarse] = [GRID[D], GRID[D] / 2].map((points) => mass(exact, axes, points, condition));
  const error = Math.abs(fine - 1) - 2 * Math.abs(fine - coarse);
  return {
    error: Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(0, error),
    at: `∫ p = ${fine.toFixed(4)}`,
  };
}

/** An entry of x as a function of u in (−1, 1), and its derivative. */
type Axis = (u: number) => { readonly at: number; readonly slope: number };

/** Points lie close together around the median of the samples, or at both ends of bounded data. */
function axesOf(flow: Flow, condition: Tensor | undefined, seed: number): Axis[] {
  const { event } = flow.base;
  const [D, count] = [sizeOf(event), 256];
  const noise = flow.base.fromNoise(new Random(seed, 30).normals([count, ...event], "float64"), 1);
  const { data } = noGrad(() => flow.inverse(noise, repeated(condition, count)).out);
  const bounds = flow.layers[0]?.domain;
  return Array.from({ length: D }, (_, d): Axis => {
    if (bounds) {
      const [low, width] = [bounds[0], bounds[1] - bounds[0]];
      return (u) => {
        const share = 1 / (1 + Math.exp(-12 * u));
        return { at: low + width * share, slope: 12 * width * share * (1 - share) };
      };
    }
    const sorted = Float64Array.from({ length: count }, (_, b) => data[b * D + d]).sort();
    const middle = sorted[count / 2];
    const spread = (sorted[(3 * count) / 4] - sorted[count / 4]) / 2;
    return (u) => ({ at: middle + spread * Math.sinh(8 * u), slope: 8 * spread * Math.cosh(8 * u) });
  });
}

/** ∫ p(x) dx by the midpoint rule in u. */
function mass(flow: Flow, axes: readonly Axis[], points: number, condition?: Tensor): number {
  const grid = axes.map((axis) => Array.from({ length: points }, (_, i) => axis((2 * i + 1) / points - 1)));
  const [first, second] = [grid[0], grid.at(1) ?? [{ at: 0, slope: points / 2 }]];
  const D = axes.length;
  let total = 0;
  for (const row of second) {
    tidy(() => {
      const x = Tensor.from(
        first.flatMap(({ at }) => [at, row.at].slice(0, D)),
        [points, ...flow.base.event],
        "float64",
      );
      const { data } = noGrad(() => flow.logProb(x, repeated(condition, points)));
      first.forEach(({ slope }, i) => {
        total += Math.exp(data[i]) * slope * row.slope * (2 / points) ** 2;
      });
    });
  }
  return total;
}

const repeated = (condition: Tensor | undefined, count: number): Tensor | undefined =>
  condition?.broadcastTo([count, ...condition.shape.slice(1)]);
