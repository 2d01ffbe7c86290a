import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import {
  grad,
  noGrad,
  Plan,
  plainKernels,
  Random,
  Scope,
  type Shape,
  sizeOf,
  Tensor,
  tidy,
} from "../../core/index.ts";

/** A shape, some of its axes, and whether they stay with length 1. */
const over = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 })
  .chain((shape) =>
    fc.tuple(fc.constant(shape), fc.subarray(shape.map((_, i) => i)), fc.boolean(), fc.nat()),
  );

/** The numbers of x that fall together in each element of a reduction, in order. */
function groups(x: Tensor, axes: readonly number[]): number[][] {
  const to = x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const found: number[][] = Array.from({ length: sizeOf(to) }, () => []);
  x.toArray().forEach((value, flat) => {
    let [rest, at, stride] = [flat, 0, 1];
    for (let axis = x.shape.length - 1; axis >= 0; axis--) {
      if (to[axis] > 1) at += (rest % x.shape[axis]) * stride;
      rest = Math.floor(rest / x.shape[axis]);
      stride *= to[axis];
    }
    found[at].push(value);
  });
  return found;
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
const squares = (xs: readonly number[]): number => xs.reduce((a, b) => a + (b - mean(xs)) ** 2, 0);

type Reduce = (x: Tensor, axes?: readonly number[], keepDims?: boolean) => Tensor;
const REDUCTIONS: Record<string, { op: Reduce; exact: (xs: number[]) => number }> = {
  max: { op: (x, a, k) => x.max(a, k), exact: (xs) => Math.max(...xs) },
  min: { op: (x, a, k) => x.min(a, k), exact: (xs) => Math.min(...xs) },
  any: { op: (x, a, k) => x.any(a, k), exact: (xs) => Number(xs.some((v) => v !== 0)) },
  all: { op: (x, a, k) => x.all(a, k), exact: (xs) => Number(xs.every((v) => v !== 0)) },
  prod: { op: (x, a, k) => x.prod(a, k), exact: (xs) => xs.reduce((a, b) => a * b, 1) },
  norm: { op: (x, a, k) => x.norm(a, k), exact: (xs) => Math.hypot(...xs) },
  logSumExp: {
    op: (x, a, k) => x.logSumExp(a, k),
    exact: (xs) => Math.log(xs.reduce((s, v) => s + Math.exp(v), 0)),
  },
  var: { op: (x, a, k) => x.var(a, k), exact: (xs) => squares(xs) / (xs.length - 1) },
  std: { op: (x, a, k) => x.std(a, k, 0), exact: (xs) => Math.sqrt(squares(xs) / xs.length) },
};

describe.each(Object.entries(REDUCTIONS))("%s", (_name, { op, exact }) => {
  test.prop([over], { numRuns: 20 })(
    "is what its definition says, of whatever axes",
    ([shape, axes, keepDims, seed]) => {
      using _ = new Scope();
      const random = new Random(seed);
      // Halves, so that some are 0 and some are equal.
      const values = Float64Array.from({ length: sizeOf(shape) }, () => random.integer(7) / 2 - 1.5);
      const x = Tensor.from(values, shape, "float64");
      const expected = groups(x, axes).map(exact);
      const check = (got: Tensor, tolerance: number): void => {
        const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
        expect(got.shape).toEqual(keepDims ? kept : shape.filter((_, axis) => !axes.includes(axis)));
        got.toArray().forEach((value, i) => {
          const close = Math.abs(value - expected[i]) <= tolerance * Math.max(1, Math.abs(expected[i]));
          expect(close || Object.is(value, expected[i]), `${value} for ${expected[i]}`).toBe(true);
        });
      };
      check(op(x, axes, keepDims), 1e-13);
      check(op(Tensor.from(values, shape), axes, keepDims), 1e-6); // float32, a few roundings
      const every = shape.map((_, i) => i);
      const [one, same] = [op(x).item(), op(x, every).item()];
      expect(Object.is(one, same) || Math.abs(one - same) <= 1e-12 * Math.max(1, Math.abs(same))).toBe(true);
      expect(op(x, undefined, true).shape).toEqual(shape.map(() => 1));
      using plan = new Plan((y) => op(y, axes, keepDims), [x]);
      check(plan.run(x)[0], 1e-13);
    },
  );
});

/** Small integers: many are equal. */
const few = fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 1, maxLength: 9 });

test.prop([few, fc.boolean()])(
  "argmax and argmin are the first places of the largest and smallest",
  (xs, nan) => {
    using _ = new Scope();
    const values = nan ? xs.with(xs.length >> 1, NaN) : xs;
    const x = Tensor.from(values, [1, xs.length, 1]);
    const first = (extreme: number): number => (nan ? xs.length >> 1 : values.indexOf(extreme));
    for (const y of [x.argmax(1, true), plainKernels(() => x.argmax(1, true))]) {
      expect([y.dtype, y.shape, y.item()]).toEqual(["int32", [1, 1, 1], first(Math.max(...values))]);
    }
    expect(x.argmin().item()).toBe(first(Math.min(...values)));
    expect(x.argmin(-2).shape).toEqual([1, 1]);
  },
);

test.prop([over])("running sums and products end with the sum and the product", ([shape, , , seed]) => {
  using _ = new Scope();
  const x = new Random(seed).uniforms(shape, 0.5, 1.5, "float64");
  for (const axis of shape.keys()) {
    const last = (y: Tensor): Tensor => y.slice(axis, shape[axis] - 1, shape[axis]);
    const close = (a: Tensor, b: Tensor): void =>
      expect(a.sub(b).abs().max().item()).toBeLessThanOrEqual(1e-14 * b.abs().max().item());
    close(last(x.cumsum(axis)), x.sum([axis], true));
    close(last(x.cumprod(axis)), x.prod([axis], true));
    if (shape[axis] === 1) continue;
    // Each is the one before, and one number more.
    const before = x.cumsum(axis).sub(x).slice(axis, 1, shape[axis]);
    close(before, x.cumsum(axis).slice(axis, 0, shape[axis] - 1));
  }
});

test.prop([fc.nat(), fc.double({ min: -500, max: 500, noNaN: true })])(
  "logSumExp moves with a number that is added to all",
  (seed, shift) => {
    using _ = new Scope();
    const x = new Random(seed).normals([3, 4], "float64");
    const difference = x
      .add(shift)
      .logSumExp([1])
      .sub(x.logSumExp([1]).add(shift));
    expect(difference.abs().max().item()).toBeLessThanOrEqual(1e-13 * Math.max(1, Math.abs(shift)));
  },
);

/** Gradients, first and second, of Σ w ⊙ f(x), as plain numbers; the second is that of Σ gradient². */
function derivatives(xs: readonly number[], f: (x: Tensor) => Tensor): { first: number[]; second: number[] } {
  using _ = new Scope();
  const x = Tensor.from(xs, [xs.length], "float64").tracked();
  const y = f(x);
  const weights = Tensor.from(
    Float64Array.from({ length: y.size }, (_, i) => i + 1),
    y.shape,
    "float64",
  );
  const [first] = grad(y.mul(weights).sum(), [x], { createGraph: true });
  const [second] = first?.node ? grad(first.square().sum(), [x]) : [null];
  return { first: first?.toArray() ?? [], second: second?.toArray() ?? [] };
}

/** The gradient of xₖ xₗ … summed up, by leaving numbers out one by one. */
test.prop([fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 1, maxLength: 6 })])(
  "the gradients of prod and cumprod are products of the others, zeros or not",
  (xs) => {
    const others = (i: number, end: number): number =>
      xs.slice(0, end).reduce((product, x, j) => (j === i ? product : product * x), 1);
    const plus0 = (values: readonly number[]): number[] => values.map((x) => x + 0);
    const { first, second } = derivatives(xs, (x) => x.prod());
    expect(plus0(first)).toEqual(plus0(xs.map((_, i) => others(i, xs.length))));
    const twice = (i: number, k: number): number =>
      xs.reduce((product, x, j) => (j === i || j === k ? product : product * x), 1);
    // ∂/∂xₖ Σ gᵢ² = Σ 2 gᵢ ∂gᵢ/∂xₖ
    const expected = xs.map((_, k) =>
      xs.reduce((sum, _x, i) => (i === k ? sum : sum + 2 * others(i, xs.length) * twice(i, k)), 0),
    );
    if (xs.length > 1) expect(plus0(second)).toEqual(plus0(expected));
    const running = derivatives(xs, (x) => x.cumprod(0)).first;
    const sums = xs.map((_, i) =>
      xs.reduce((sum, _x, end) => (end < i ? sum : sum + (end + 1) * others(i, end + 1)), 0),
    );
    expect(plus0(running)).toEqual(plus0(sums));
  },
);

describe("examples", () => {
  const at = (xs: number[], f: (x: Tensor) => Tensor, shape: Shape = [xs.length]): number[] =>
    tidy(() => f(Tensor.from(xs, shape, "float64"))).toArray();

  it("numbers that are equal share the gradient of the largest", () => {
    expect(derivatives([1, 3, 3], (x) => x.max()).first).toEqual([0, 0.5, 0.5]);
    expect(derivatives([2, 1, 1, 5], (x) => x.min()).first).toEqual([0, 0.5, 0.5, 0]);
  });

  it("NaN stays NaN, and none at all have a sum but no largest", () => {
    expect(at([1, NaN, 3], (x) => x.max())).toEqual([NaN]);
    expect(at([1, NaN, 3], (x) => x.min())).toEqual([NaN]);
    expect(at([], (x) => x.all())).toEqual([1]);
    expect(at([], (x) => x.any())).toEqual([0]);
    expect(at([], (x) => x.prod())).toEqual([1]);
    expect(at([], (x) => x.logSumExp())).toEqual([-Infinity]);
    expect(at([], (x) => x.prod([1]), [0, 2])).toEqual([]);
    const message = "expected numbers along the axes, got none in (0)";
    for (const name of ["max", "min", "argmax", "argmin"] as const)
      expect(() => at([], (x) => x[name]())).toThrow(`${name}: ${message}`);
  });

  it("logSumExp of −∞ alone is −∞ with a gradient of 0, of ∞ it is ∞, and nothing overflows", () => {
    const infinite = [-Infinity, -Infinity];
    expect(at(infinite, (x) => x.logSumExp())).toEqual([-Infinity]);
    expect(derivatives(infinite, (x) => x.logSumExp()).first).toEqual([0, 0]);
    expect(at([Infinity, 1], (x) => x.logSumExp())).toEqual([Infinity]);
    expect(at([1000, 1000], (x) => x.logSumExp())).toEqual([expect.closeTo(1000 + Math.LN2, 12)]);
    expect(derivatives([-Infinity, 0, 0], (x) => x.logSumExp()).first).toEqual([0, 0.5, 0.5]);
  });

  it("has the deviations of torch.var and std, with and without correction, and finite slopes at 0", () => {
    // torch.std's documentation, first row.
    const row = [0.2035, 1.2959, 1.8101, -0.4644];
    expect(at(row, (x) => x.std())).toEqual([expect.closeTo(1.0311, 3)]);
    expect(at(row, (x) => x.var([0], false, 0))).toEqual([expect.closeTo(0.75 * 1.0311 ** 2, 3)]);
    expect(at([3], (x) => x.var())).toEqual([NaN]);
    expect(derivatives([2, 2], (x) => x.std()).first).toEqual([0, 0]);
    expect(derivatives([0, 0], (x) => x.norm()).first).toEqual([0, 0]);
  });

  it("int32 stays int32, and integers have no history", () => {
    const x = Tensor.from([3, 1, 2], [3], "int32");
    for (const y of [x.max(), x.min(), x.prod(), x.cumsum(0), x.cumprod(0), x.any(), x.all()])
      expect(y.dtype).toBe("int32");
    expect(x.cumsum(0).toArray()).toEqual([3, 4, 6]);
    expect(x.cumprod(0).toArray()).toEqual([3, 3, 6]);
    const y = Tensor.from([1, 2]).tracked();
    expect(y.argmax().node).toBeNull();
    expect(noGrad(() => y.max()).node).toBeNull();
  });
});
