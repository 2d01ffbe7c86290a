import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { isTracked, Random, Scope, Tensor } from "../../core/index.ts";
import {
  AdditiveCoupling,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  Inverse,
  InvertiblePLU,
  integrate,
  MlpConditioner,
  type Quadrature,
  SplineCoupling,
  StandardNormal,
  Tanh,
} from "../../flows/index.ts";
import { inDType } from "../../nn/index.ts";

/** N(mean, diag std²) */
function normal(mean: readonly number[], std: readonly number[]): Flow {
  const base = inDType("float64", () => new DiagonalNormal([mean.length])).init(new Random(0));
  base.mean.data.set(mean);
  base.log_std.data.set(std.map(Math.log));
  return new Flow([], base);
}

/** How far the total may be from 1: as far as it says, and rounding. */
const trusted = ({ error, outside }: Quadrature): number => error + outside + 1e-12;

// From far wider than the step to far sharper.
const std = fc.double({ min: -7, max: 0.5, noNaN: true }).map(Math.exp);
const inside = fc.double({ min: -3, max: 3, noNaN: true });
const points = fc.integer({ min: 3, max: 60 });
const wide = [-10, 10] as const;

describe("integrate bounds its own error", () => {
  prop.prop([fc.array(fc.tuple(inside, std), { minLength: 1, maxLength: 2 }), points], { numRuns: 150 })(
    "on normal densities of any width, wherever they lie between the points",
    (axes, n) => {
      using _ = new Scope();
      const [mean, deviation] = [axes.map(([m]) => m), axes.map(([, s]) => s)];
      const integrals = integrate(normal(mean, deviation), { points: n, box: axes.map(() => wide) });
      expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(trusted(integrals));
      axes.forEach(([m, s], d) => {
        expect(Math.abs(integrals.mean[d] - m)).toBeLessThanOrEqual(10 * trusted(integrals));
        expect(Math.abs(integrals.square[d] - m * m - s * s)).toBeLessThanOrEqual(100 * trusted(integrals));
      });
    },
  );

  prop.prop([std, std, fc.nat(1000), points], { numRuns: 60 })(
    "on narrow ridges at any angle",
    (first, second, seed, n) => {
      using _ = new Scope();
      const turn = inDType("float64", () => new InvertiblePLU(2)).init(new Random(seed));
      const ridge = new Flow([turn], normal([0.1, -0.2], [first, second]).base);
      const integrals = integrate(ridge, { points: n, box: [wide, wide] });
      expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(trusted(integrals));
    },
  );

  prop.prop([fc.nat(1000), points, fc.constantFrom(1, 2, 5, 20)], { numRuns: 30 })(
    "on densities with kinks and steep ends, in the box it finds itself",
    (seed, n, depth) => {
      using _ = new Scope();
      const make = (): Flow =>
        new Flow(
          [
            new Inverse(new Tanh()),
            new SplineCoupling(new MlpConditioner({ kept: 1, condition: 0, width: 4, outputs: 8 }), {
              bins: 3,
              bound: 2,
            }),
          ],
          new StandardNormal([2]),
        );
      const flow = inDType("float64", make).init(new Random(seed));
      for (const parameter of flow.parameters())
        for (let i = 0; i < parameter.size; i++) parameter.data[i] *= depth;
      const integrals = integrate(flow, { points: n });
      expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(trusted(integrals));
    },
  );

  prop.prop([inside, std, inside, fc.double({ min: 0.5, max: 4, noNaN: true })], { numRuns: 100 })(
    "on boxes that cut the density off, or miss it",
    (mean, deviation, low, length) => {
      using _ = new Scope();
      const flow = normal([mean], [deviation]);
      const integrals = integrate(flow, { points: 60, box: [[low, low + length]] });
      expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(trusted(integrals));
    },
  );

  test("a peak that falls between all points is not taken for nothing", () => {
    using _ = new Scope();
    // Points at multiples of 0.1, in between at 0.05.
    for (const [mean, deviation] of [
      [[0.05], [1e-4]],
      [
        [0.05, 1.05],
        [1e-4, 1e-4],
      ],
      [
        [0, 1.05],
        [1, 1e-4],
      ],
    ]) {
      const box = mean.map(() => [-9.45, 10.65] as const);
      const { total, error } = integrate(normal(mean, deviation), { points: 201, box });
      expect(total).toBe(0);
      expect(error).toBeGreaterThanOrEqual(1);
    }
  });

  test("and is exact to rounding, and says so, where densities are smooth", () => {
    using _ = new Scope();
    for (const flow of [normal([1], [3]), normal([0.5, -2], [0.7, 1.5])]) {
      const integrals = integrate(flow);
      expect(Math.abs(integrals.total - 1)).toBeLessThan(1e-12);
      expect(integrals.error).toBeLessThan(1e-12);
      expect(integrals.outside).toBeLessThan(1e-12);
    }
  });

  test("a density off by a part in a thousand is not within it", () => {
    using _ = new Scope();
    const flow = normal([0.5, -2], [0.7, 1.5]);
    const right = flow.base.logProb.bind(flow.base);
    flow.base.logProb = (z) => right(z).shift(1e-3);
    const integrals = integrate(flow, { points: 99 });
    expect(Math.abs(integrals.total - 1)).toBeGreaterThan(100 * trusted(integrals));
  });

  test("knows that a bounded density ends where it ends", () => {
    using _ = new Scope();
    const flow = inDType("float64", () => new Flow([new Inverse(new Tanh())], new StandardNormal([1])));
    const integrals = integrate(flow, { points: 999, box: [[-1, 1]] });
    expect(integrals.outside).toBeLessThan(1e-12);
    expect(integrals.error).toBeLessThan(1e-2); // a step of 0.002 beside ends as steep as a jump of 0.7
    expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(trusted(integrals));
  });
});

describe("integrate", () => {
  test("records no history, whatever the flow's parameters want", () => {
    using _ = new Scope();
    const flow = inDType("float64", () => new Flow([new ElementwiseAffine([1])], new StandardNormal([1])));
    flow.init(new Random(0));
    const right = flow.logProb.bind(flow);
    let tracked = 0;
    flow.logProb = (x) => {
      const out = right(x);
      if (isTracked(out)) tracked++;
      return out;
    };
    integrate(flow, { points: 30 });
    expect(isTracked(right(Tensor.zeros([1, 1], "float64")))).toBe(true);
    expect(tracked).toBe(0);
  });

  test("takes one condition for all points", () => {
    using _ = new Scope();
    const net = (): MlpConditioner => new MlpConditioner({ kept: 0, condition: 2, width: 4, outputs: 1 });
    const flow = inDType("float64", () => new Flow([new AdditiveCoupling(net())], new StandardNormal([1])));
    flow.init(new Random(0));
    const at = (value: number): number =>
      integrate(flow, { condition: Tensor.from([value, 1], [1, 2], "float64") }).mean[0];
    expect(at(1)).not.toBeCloseTo(at(-1), 3);
    expect(() => integrate(flow, { condition: Tensor.zeros([3, 2], "float64") })).toThrow(
      "integrate: expected one condition (1, …) for all points, got a Tensor of shape (3, 2)",
    );
  });

  test.each<[object, string]>([
    [{ points: 0 }, "points to be an integer of at least 3, got 0"],
    [{ points: 9.5 }, "points to be an integer"],
    [{ box: [[0, 1]] }, "a box with [low, high] for each of 2 axes"],
    [
      {
        box: [
          [0, 1],
          [1, 1],
        ],
      },
      "[low, high] of the box to be finite and in order, got [1, 1]",
    ],
    [
      {
        box: [
          [0, 1],
          [0, Infinity],
        ],
      },
      "[low, high] of the box to be finite and in order",
    ],
    [{ box: [0, 1] }, "[low, high] of the box to be finite and in order, got 0"],
    [{ point: 20 }, "options condition, points, box, got point"],
  ])("refuses %o", (options, message) => {
    const flow = normal([0, 0], [1, 1]);
    expect(() => integrate(flow, options as never)).toThrow(`integrate: expected ${message}`);
  });

  test("refuses more than two dimensions", () => {
    expect(() => integrate(new Flow([], new StandardNormal([3])))).toThrow("one or two dimensions, got 3");
  });
});
