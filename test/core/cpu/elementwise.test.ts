import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { elementwiseWasm } from "../../../core/cpu/kernels/elementwise.ts";
import { Expr, substitute } from "../../../core/formula/expr.ts";
import { compile } from "../../../core/formula/js.ts";
import { each, Operand } from "../../../core/formula/launch.ts";
import { Scope } from "../../../core/scope.ts";
import { type Shape, sizeOf } from "../../../core/shape.ts";
import { Tensor } from "../../../core/tensor.ts";
import { bits, flavours, largestError, length, numbers } from "./support.ts";

const [x, y, z] = [0, 1, 2].map(Expr.input);
const p = Expr.param(0);
const FORMULAS: Record<string, Expr> = {
  add: x.add(y).add(z),
  "min and max": x.min(y).max(z),
  select: x.lessThan(y, z, x.neg()),
  same: x.floor().equals(y.floor(), z, x.neg()),
  "scale, shared twice": x.mul(p).add(y.mul(p)).mul(x.mul(p)).add(z),
  "quotient and square root": x.div(y.abs().add(1)).add(z.abs().sqrt()),
  transcendental: x.exp().mul(y.sin()).add(z.tanh()),
};

/** What the formula means, element by element, on the plain kernel. */
function plain(formula: Expr, shape: Shape, ins: readonly Tensor[], params: readonly number[]): Float64Array {
  const out = new Float64Array(sizeOf(shape));
  const operands = ins.map((t, i) => Operand.input(i, t.shape));
  const result = each(shape, (...at) =>
    substitute(
      formula,
      operands.map((operand) => operand.stretched(...at)),
    ),
  );
  const dtypes = ["float64", ...ins.map((t) => t.dtype)];
  const data = ins.map((t) => t.data);
  compile(result, dtypes, "plain")(out, data, params);
  return out;
}

/** An output shape, and for each of three inputs which of its axes it is stretched along. */
const broadcasts = fc
  .array(length, { minLength: 0, maxLength: 4 })
  .filter((shape) => sizeOf(shape) <= 20_000)
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      stretched: fc.tuple(
        ...[0, 1, 2].map(() => fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length })),
      ),
      dropped: fc.tuple(...[0, 1, 2].map(() => fc.nat({ max: shape.length }))),
    }),
  );

describe.each(flavours)("elementwise kernels $name", ({ run }) => {
  it.each(Object.entries(FORMULAS))("%s, for every broadcast", (_name, formula) => {
    fc.assert(
      fc.property(broadcasts, fc.nat(), ({ shape, stretched, dropped }, seed) => {
        using _ = new Scope();
        const ins = stretched.map((axes, i) => {
          const own = shape.map((n, axis) => (axes[axis] ? 1 : n));
          // Leading axes of length 1 may also be missing.
          const missing = Math.min(
            dropped[i],
            own.findIndex((n) => n !== 1) < 0 ? own.length : own.findIndex((n) => n !== 1),
          );
          return numbers(own.slice(missing), seed + i);
        });
        const out = Tensor.full(shape, Number.NaN);
        run(() => elementwiseWasm(formula, 3, 1)(out, ins, [0.75])?.());
        // Values stay below about 10 and a handful of roundings happen, each of half a unit in the last place.
        expect(largestError(out, plain(formula, shape, ins, [Math.fround(0.75)]))).toBeLessThan(3e-6);
      }),
      { numRuns: 25 },
    );
  });
});

describe("elementwise kernels", () => {
  it("treat NaN in minima, maxima and comparisons like Math and <", () => {
    using _ = new Scope();
    const [a, b] = [Tensor.from([NaN, 1, NaN, -0, 0]), Tensor.from([1, NaN, NaN, 0, -0])];
    const apply = (formula: Expr): number[] => {
      const out = Tensor.empty([5]);
      elementwiseWasm(formula, 2, 0)(out, [a, b])?.();
      return out.toArray();
    };
    expect(apply(x.min(y))).toEqual([NaN, NaN, NaN, -0, -0]);
    expect(apply(x.max(y))).toEqual([NaN, NaN, NaN, 0, 0]);
    expect(apply(x.lessThan(y, 1, 2))).toEqual([2, 2, 2, 2, 2]);
    expect(apply(x.equals(y, 1, 2))).toEqual([2, 2, 2, 1, 1]);
  });

  it("may write over an input and touch nothing behind the output", () => {
    using _ = new Scope();
    const shape = [3, 4099];
    const block = numbers([3 * 4099 + 3], 1);
    const before = bits(block).slice(-3);
    const view = Tensor.from(block.data.slice(0, 3 * 4099), shape);
    const expected = view.toArray().map((value) => Math.fround(value * 2));
    elementwiseWasm(x.mul(2), 1, 0)(view, [view])?.();
    expect(view.toArray()).toEqual(expected);
    expect(bits(block).slice(-3)).toEqual(before);
  });

  it("leave other dtypes and empty tensors to the plain kernel", () => {
    using _ = new Scope();
    const negate = elementwiseWasm(x.neg(), 1, 0);
    expect(negate(Tensor.empty([2], "int32"), [Tensor.empty([2], "int32")])).toBeNull();
    expect(negate(Tensor.empty([0]), [Tensor.empty([0])])).toBeNull();
  });

  it("name the formula they were made for when called with too little", () => {
    using _ = new Scope();
    expect(() => elementwiseWasm(x.add(y), 2, 0)(Tensor.empty([1]), [Tensor.empty([1])])).toThrow(
      /2 inputs.*got 1/,
    );
  });
});
