import { noGrad, sameShape, showShape, Tensor } from "../../core/index.ts";
import { logAbsDet } from "../linear-algebra.ts";
import type { Base } from "../normal.ts";
import { slopeMeasure } from "./gradient.ts";
import { distance, finite, type Instances, type Law, type Measure, worst } from "./trial.ts";

/** A base distribution and standard normal noise (B, …event), float64. */
export interface BaseTrial {
  readonly instances: Instances<Base>;
  readonly noise: Tensor;
}

/** The laws of a base distribution: its density and its samples belong together. */
export const baseLaws = {
  shapes: {
    name: "samples have the event's shape, log-probabilities are (B)",
    precision: "float64",
    measure: shapes,
  },
  density: { name: "the density is that of the samples", precision: "float64", measure: density },
  temperature: { name: "temperature scales the noise", precision: "float64", measure: temperature },
  gradient: { name: "gradients are slopes", precision: "slope", measure: gradient },
  float32: { name: "float32 agrees with float64", precision: "float32", measure: float32 },
} as const satisfies Record<string, Law<BaseTrial>>;

function shapes({ instances: { exact }, noise }: BaseTrial): Measure {
  const z = exact.fromNoise(noise, 1);
  const found: [string, Tensor, readonly number[]][] = [
    ["samples", z, noise.shape],
    ["log-probabilities", exact.logProb(z), noise.shape.slice(0, 1)],
  ];
  const wrong = found.filter(([, { shape }, expected]) => !sameShape(shape, expected));
  return worst(
    wrong.map(([what, { shape }, expected]) => ({
      error: Number.POSITIVE_INFINITY,
      at: `${what} ${showShape(shape)}, expected ${showShape(expected)}`,
    })),
  );
}

/** Points at which the base's Jacobian is computed. */
const POINTS = 3;

/**
 * Samples are noise n mapped one to one by z = fromNoise(n, 1), so their density is known from that map alone:
 *   log p(z) = log N(n; 0, I) − log |det ∂z/∂n|
 * with the Jacobian from differences of fourth order, as a base need not be differentiable in its noise.
 */
function density({ instances: { exact }, noise }: BaseTrial): Measure {
  const N = noise.size / noise.shape[0];
  const event = noise.shape.slice(1);
  const logProbs = noGrad(() => exact.logProb(exact.fromNoise(noise, 1))).data;
  return worst(
    Array.from({ length: Math.min(POINTS, noise.shape[0]) }, (_, row) => {
      const n = Float64Array.from(noise.data.subarray(row * N, (row + 1) * N));
      const samplesAt = (step: number) => {
        const moved = Tensor.empty([N, ...event], "float64");
        for (let i = 0; i < N * N; i++) moved.data[i] = n[i % N] + (i % (N + 1) === 0 ? step : 0);
        return noGrad(() => exact.fromNoise(moved, 1)).data;
      };
      const h = 1e-3;
      const [a, b, c, d] = [-2 * h, -h, h, 2 * h].map(samplesAt);
      const jacobian = Float64Array.from(a, (_, i) => (a[i] - 8 * b[i] + 8 * c[i] - d[i]) / (12 * h));
      const squares = n.reduce((sum, v) => sum + v * v, 0);
      const expected = -0.5 * (squares + N * Math.log(2 * Math.PI)) - logAbsDet(jacobian);
      return {
        error: finite(Math.abs(logProbs[row] - expected) / Math.max(1, Math.abs(expected))),
        at: `row ${row}`,
      };
    }),
  );
}

/** max |fromNoise(n, T) − fromNoise(T n, 1)|, see `distance`. */
function temperature({ instances: { exact }, noise }: BaseTrial): Measure {
  return worst(
    [0.5, 2].map((T) => ({
      error: distance(exact.fromNoise(noise, T), exact.fromNoise(noise.scale(T), 1)),
      at: `temperature ${T}`,
    })),
  );
}

/** As for bijectors, of log p(z) and of samples. */
function gradient({ instances: { exact }, noise }: BaseTrial): Measure {
  const n = noise.slice(0, 0, 1).detach().tracked();
  const z = noGrad(() => exact.fromNoise(n, 0.9))
    .detach()
    .tracked();
  const parameters = exact.namedParameters().map(([name, tensor]) => ({ name, tensors: [tensor] }));
  return worst([
    slopeMeasure([{ name: "z", tensors: [z] }, ...parameters], () => ({
      "log-probability": exact.logProb(z),
    })),
    slopeMeasure([{ name: "its noise", tensors: [n] }, ...parameters], () => ({
      sample: exact.fromNoise(n, 0.9),
    })),
  ]);
}

/** max difference of log p(z) and of samples. */
function float32({ instances: { exact, fast }, noise }: BaseTrial): Measure {
  const small = (t: Tensor): Tensor => Tensor.from(t.data, t.shape, "float32");
  const [z, fastZ] = [exact.fromNoise(noise, 1), fast.fromNoise(small(noise), 1)];
  return worst([
    { error: distance(fastZ, z), at: "samples" },
    { error: distance(fast.logProb(small(z)), exact.logProb(z)), at: "log-probability" },
  ]);
}
