import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { type DType, grad, Plan, plainKernels, Scope, Tensor, tidy } from "../../core/index.ts";

const number = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom(-0, 0.5, 1.5, 2.5, -0.5, 1e30, Infinity, -Infinity, NaN),
);
const numbers = fc.array(number, { minLength: 1, maxLength: 9 });
const pairs = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 9 });
const dtype = fc.constantFrom<DType>("float32", "float64");

/** −0 and 0 are one number here. */
const plus0 = (xs: readonly number[]): number[] => xs.map((x) => x + 0);
const values = (x: Tensor): number[] => plus0(x.toArray());

const EACH: Record<string, { op: (x: Tensor) => Tensor; exact: (x: number) => number }> = {
  floor: { op: (x) => x.floor(), exact: Math.floor },
  ceil: { op: (x) => x.ceil(), exact: Math.ceil },
  round: { op: (x) => x.round(), exact: halfToEven },
  relu: { op: (x) => x.relu(), exact: (x) => Math.max(0, x) },
  hardtanh: { op: (x) => x.hardtanh(), exact: (x) => Math.max(-1, Math.min(x, 1)) },
  isNaN: { op: (x) => x.isNaN(), exact: (x) => Number(Number.isNaN(x)) },
  isFinite: { op: (x) => x.isFinite(), exact: (x) => Number(Number.isFinite(x)) },
  logicalNot: { op: (x) => x.logicalNot(), exact: (x) => Number(x === 0) },
};

function halfToEven(x: number): number {
  const [below, above] = [Math.floor(x), Math.ceil(x)];
  if (x - below === above - x) return below % 2 === 0 ? below : above;
  return x - below < above - x ? below : above;
}

describe.each(Object.entries(EACH))("%s", (_name, { op, exact }) => {
  test.prop([numbers, dtype])("is that of Math, on fast and plain kernels and in a plan", (xs, type) => {
    using _ = new Scope();
    const x = Tensor.from(xs, [xs.length], type);
    const expected = plus0([...x.data].map(exact));
    expect(values(op(x))).toEqual(expected);
    expect(values(plainKernels(() => op(x)))).toEqual(expected);
    using plan = new Plan(op, [x]);
    expect(values(plan.run(x)[0])).toEqual(expected);
  });
});

const COMPARISONS: Record<
  string,
  { op: (a: Tensor, b: Tensor) => Tensor; of: (a: number, b: number) => boolean }
> = {
  eq: { op: (a, b) => a.eq(b), of: (a, b) => a === b },
  ne: { op: (a, b) => a.ne(b), of: (a, b) => a !== b },
  lt: { op: (a, b) => a.lt(b), of: (a, b) => a < b },
  le: { op: (a, b) => a.le(b), of: (a, b) => a <= b },
  gt: { op: (a, b) => a.gt(b), of: (a, b) => a > b },
  ge: { op: (a, b) => a.ge(b), of: (a, b) => a >= b },
  logicalAnd: { op: (a, b) => a.logicalAnd(b), of: (a, b) => a !== 0 && b !== 0 },
  logicalOr: { op: (a, b) => a.logicalOr(b), of: (a, b) => a !== 0 || b !== 0 },
};

test.prop([pairs, dtype, fc.constantFrom(...Object.keys(COMPARISONS))])(
  "comparisons and truth are JavaScript's, NaN included",
  (drawn, type, name) => {
    using _ = new Scope();
    const [a, b] = [0, 1].map((side) =>
      Tensor.from(
        drawn.map((pair) => pair[side]),
        [drawn.length],
        type,
      ),
    );
    const { op, of } = COMPARISONS[name];
    const expected = [...a.data].map((x, i) => Number(of(x, b.data[i])));
    expect(op(a, b).dtype).toBe(type);
    expect(op(a, b).toArray()).toEqual(expected);
    expect(plainKernels(() => op(a, b)).toArray()).toEqual(expected);
    const ints = [a, b].map((x) =>
      Tensor.from(
        [...x.data].map((v) => Math.sign(v) || 0),
        x.shape,
        "int32",
      ),
    );
    expect(op(ints[0], ints[1]).dtype).toBe("int32");
    expect(op(ints[0], ints[1]).toArray()).toEqual(
      [...ints[0].data].map((x, i) => Number(of(x, ints[1].data[i]))),
    );
  },
);

test.prop([pairs])("less, equal and greater share all pairs that hold no NaN among them", (drawn) => {
  using _ = new Scope();
  const [a, b] = [0, 1].map((side) => Tensor.from(drawn.map((pair) => pair[side])));
  const none = a.isNaN().logicalOr(b.isNaN());
  expect(a.lt(b).add(a.eq(b)).add(a.gt(b)).add(none).toArray()).toEqual(drawn.map(() => 1));
});

test.prop([numbers, fc.constantFrom(-3, -1, 0, 1, 2, 3, 7, 0.5, 1.7, -2.3)])(
  "pow with a number is Math.pow, and that with a tensor",
  (xs, p) => {
    using _ = new Scope();
    const x = Tensor.from(xs, [xs.length], "float64");
    const close = (got: readonly number[]): void =>
      got.forEach((y, i) => {
        // Math takes the odd power of −∞ for one of ∞; here it is that of any negative number.
        const exact = xs[i] === -Infinity && !Number.isInteger(p) ? NaN : xs[i] ** p;
        if (Number.isFinite(exact)) expect(Math.abs(y - exact)).toBeLessThanOrEqual(1e-13 * Math.abs(exact));
        else expect(Math.abs(y)).toBe(Math.abs(exact)); // 1 / −0 has either sign
      });
    close(x.pow(p).toArray());
    close(x.pow(Tensor.scalar(p, "float64")).toArray());
  },
);

describe("examples", () => {
  const at = (xs: number[], f: (x: Tensor) => Tensor): number[] =>
    tidy(() => f(Tensor.from(xs, [xs.length], "float64"))).toArray();
  const slopes = (xs: number[], f: (x: Tensor) => Tensor): number[] =>
    tidy(() => {
      const x = Tensor.from(xs, [xs.length], "float64").tracked();
      return grad(f(x).sum(), [x])[0] ?? Tensor.empty([0]);
    }).toArray();

  it("has PyTorch's slopes at the kinks", () => {
    expect(slopes([-1, 0, 1], (x) => x.relu())).toEqual([0, 0, 1]);
    expect(slopes([-1, 0, 1], (x) => x.leakyRelu(0.25))).toEqual([0.25, 0.25, 1]);
    expect(slopes([-2, -1, 0, 1, 2], (x) => x.hardtanh())).toEqual([0, 0, 1, 0, 0]);
    expect(slopes([0, 1], (x) => x.elu(2))).toEqual([2, 1]);
    expect(slopes([0, 2], (x) => x.pow(3))).toEqual([0, 12]);
    expect(slopes([0, 2], (x) => x.pow(Tensor.scalar(3, "float64")))[0]).toBe(0);
    expect(slopes([1.5], (x) => x.floor().add(x))).toEqual([1]);
  });

  it("has the values of torch.round, exp2, expm1, elu and of powers of negative numbers", () => {
    expect(at([4.7, -2.3, 9.1, -7.7, -0.5, 0.5, 1.5, 2.5], (x) => x.round()).map((x) => x + 0)).toEqual([
      5, -2, 9, -8, 0, 0, 2, 2,
    ]);
    expect(at([0, 1, 3, 4], (x) => x.exp2())).toEqual([1, 2, 8, 16].map((y) => expect.closeTo(y, 12)));
    const near = [1, -1, Infinity].map((y) => expect.closeTo(y, 14));
    expect(at([Math.LN2, -Infinity, Infinity], (x) => x.expm1())).toEqual(near);
    expect(at([-1], (x) => x.elu())[0]).toBeCloseTo(Math.expm1(-1), 15);
    expect(at([-2, -2], (x) => x.pow(Tensor.from([3, 0.5], [2], "float64")))).toEqual([
      expect.closeTo(-8, 12),
      NaN,
    ]);
    expect(Tensor.from([3, -2], [2], "int32").pow(3).toArray()).toEqual([27, -8]);
  });

  it("fills where a mask is set, and lets no gradient through there", () => {
    const mask = Tensor.from([0, 1, 0], [3], "float64");
    expect(at([1, 2, 3], (x) => x.maskedFill(mask, -Infinity))).toEqual([1, -Infinity, 3]);
    expect(slopes([1, 2, 3], (x) => x.maskedFill(mask, 9))).toEqual([1, 0, 1]);
    mask.dispose();
  });
});
