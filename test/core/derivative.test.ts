import { describe, expect, it, test } from "vitest";
import { derivative } from "../../core/formula/derivative.ts";
import { Expr, inputsOf } from "../../core/formula/expr.ts";
import { grad, Tensor, tidy } from "../../core/index.ts";

const [x, y, dy] = [0, 1, 2].map(Expr.input);

describe("the derivative of a formula", () => {
  it("is none where it does not depend on the input", () => {
    expect(derivative(Expr.constant(2).mul(Expr.param(0)), 0, dy, y)).toBeUndefined();
    expect(derivative(x.lessThan(0, 1, 2), 0, dy, y)).toBeUndefined();
    expect(derivative(x.mul(3).floor(), 0, dy, y)).toBeUndefined();
  });

  it("is dy itself where the input is added", () => {
    expect(derivative(x.add(3), 0, dy, y)).toBe(dy);
  });

  it("reads the output where it occurs", () => {
    expect(inputsOf(derivative(x.exp(), 0, dy, y) as Expr).sort()).toEqual([1, 2]);
    expect(inputsOf(derivative(x.sin(), 0, dy, y) as Expr).sort()).toEqual([0, 2]);
  });

  it("refuses what is not elementwise", () => {
    const read = new Expr({
      ...({ kind: "read", source: { name: "x", input: 0, launch: null } } as const),
      at: null!,
    });
    expect(() => derivative(read, 0, dy, y)).toThrow(
      "derivative: expected an elementwise formula, got one with a read",
    );
  });
});

/** The gradient at one number. */
const slope = (f: (x: Tensor) => Tensor, at: number): number =>
  tidy(() => {
    const x = Tensor.scalar(at, "float64").tracked();
    return grad(f(x), [x])[0]?.item() ?? Number.NaN;
  });

describe("at kinks", () => {
  test.each([
    ["abs", (x: Tensor) => x.abs(), 0, 0],
    ["maximum", (x: Tensor) => x.maximum(1), 1, 1],
    ["minimum", (x: Tensor) => x.minimum(1), 1, 1],
    ["clamp at its lower bound", (x: Tensor) => x.clamp(-1, 2), -1, 1],
    ["clamp at its upper bound", (x: Tensor) => x.clamp(-1, 2), 2, 1],
    ["clamp outside", (x: Tensor) => x.clamp(-1, 2), 2.5, 0],
    ["softplus", (x: Tensor) => x.softplus(), 0, 0.5],
    ["cosh", (x: Tensor) => x.cosh(), 1e-9, 1e-9],
  ])("the gradient of %s is what its docs say", (_name, f, at, expected) => {
    expect(slope(f, at)).toBe(expected);
  });
});
