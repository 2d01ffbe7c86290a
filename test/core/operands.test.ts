import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { type DType, grad, Plan, plainKernels, Scope, Tensor } from "../../core/index.ts";

/** Ops that take a number in place of a tensor. */
const OPS: Record<string, (x: Tensor, y: Tensor | number) => Tensor> = {
  add: (x, y) => x.add(y),
  sub: (x, y) => x.sub(y),
  mul: (x, y) => x.mul(y),
  div: (x, y) => x.div(y),
  maximum: (x, y) => x.maximum(y),
  minimum: (x, y) => x.minimum(y),
  lt: (x, y) => x.lt(y),
  "where yes": (x, y) => x.lt(0).where(y, x),
  "where no": (x, y) => x.lt(0).where(x, y),
};

const number = fc.oneof(
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom(0, -0, 1, 0.1, 2 ** -130, 1e300, Infinity, -Infinity, NaN),
);
const numbers = fc.array(number, { minLength: 1, maxLength: 9 });
const dtype = fc.constantFrom<DType>("float32", "float64");

describe.each(Object.entries(OPS))("%s", (_name, op) => {
  test.prop([numbers, number, dtype])("takes a number as a tensor full of it, bit for bit", (xs, y, type) => {
    using _ = new Scope();
    const x = Tensor.from(xs, [xs.length], type).tracked();
    const full = Tensor.full(x.shape, y, type);
    const expected = op(x, full);
    const got = op(x, y);
    expect(got.dtype).toBe(type);
    expect(got.toArray()).toEqual(expected.toArray());
    expect(plainKernels(() => op(x, y)).toArray()).toEqual(plainKernels(() => op(x, full)).toArray());
    const slope = (z: Tensor): number[] | undefined => grad(z.sum(), [x])[0]?.toArray();
    expect(slope(got)).toEqual(slope(expected));
    using plan = new Plan((input) => op(input, y), [x]);
    expect(plan.run(x)[0].toArray()).toEqual(expected.toArray());
  });
});

/** 32-bit integers, the largest and smallest often among them. */
const integer = fc.oneof(
  fc.maxSafeInteger().map((n) => n | 0),
  fc.integer({ min: -50, max: 50 }),
);

describe("int32", () => {
  const EXACT: Record<
    string,
    { op: (a: Tensor, b: Tensor) => Tensor; exact: (a: bigint, b: bigint) => bigint }
  > = {
    add: { op: (a, b) => a.add(b), exact: (a, b) => a + b },
    sub: { op: (a, b) => a.sub(b), exact: (a, b) => a - b },
    mul: { op: (a, b) => a.mul(b), exact: (a, b) => a * b },
    "add a number": { op: (a, b) => a.add(b.item()), exact: (a, b) => a + b },
    "mul by a number": { op: (a, b) => a.mul(b.item()), exact: (a, b) => a * b },
    neg: { op: (a) => a.neg(), exact: (a) => -a },
    abs: { op: (a) => a.abs(), exact: (a) => (a < 0n ? -a : a) },
    square: { op: (a) => a.square(), exact: (a) => a * a },
    sum: { op: (a, b) => Tensor.from([a.item(), b.item()], [2], "int32").sum(), exact: (a, b) => a + b },
  };

  test.prop([integer, integer, fc.constantFrom(...Object.keys(EXACT))])(
    "results are exact, or refused where they do not fit",
    (a, b, name) => {
      using _ = new Scope();
      const [x, y] = [a, b].map((n) => Tensor.scalar(n, "int32"));
      const { op, exact } = EXACT[name];
      const expected = exact(BigInt(a), BigInt(b));
      if (BigInt.asIntN(32, expected) === expected) expect(op(x, y).toArray()).toEqual([Number(expected)]);
      else expect(() => op(x, y)).toThrow("expected integers that fit int32");
    },
  );

  test("a factor or a bound that leaves the integers is refused", () => {
    using _ = new Scope();
    const x = Tensor.from([1, 2], [2], "int32");
    expect(() => x.scale(0.5)).toThrow("scale: expected integers that fit int32, got 0.5");
    expect(() => x.clamp(0.5, 3)).not.toThrow();
    expect(() => x.clamp(1.5, 3)).toThrow("clamp: expected integers");
    expect(() => x.add(0.5)).toThrow("add: expected integers that fit int32, got 0.5");
  });
});
