import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Scope, Tensor } from "../../core/index.ts";

type Name = "expm1" | "log1p" | "sinh" | "cosh" | "asinh" | "softplus";

/**
 * Each function in float64, and its largest relative error in float32, in units of 2⁻²⁴ (half a unit of the last
 * place).
 */
const FUNCTIONS: Record<Name, { exact: (x: number) => number; error: number }> = {
  expm1: { exact: Math.expm1, error: 10 }, // exp and sinh, twice multiplied
  log1p: { exact: Math.log1p, error: 2 },
  sinh: { exact: Math.sinh, error: 4 },
  cosh: { exact: Math.cosh, error: 6 }, // two roundings more than exp, which counts twice
  asinh: { exact: Math.asinh, error: 4 },
  softplus: { exact: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), error: 6 }, // exp, then log1p
};

/** Numbers of every size from 2⁻¹⁰⁰ to 2⁶, both signs: most lie far nearer to 0 than random numbers between do. */
const ofAnySize = fc
  .tuple(fc.integer({ min: -100, max: 5 }), fc.double({ min: 1, max: 2, noNaN: true }), fc.boolean())
  .map(([exponent, mantissa, negative]) => Math.fround((negative ? -1 : 1) * mantissa * 2 ** exponent));

describe.each(Object.entries(FUNCTIONS))("%s", (name, { exact, error }) => {
  test.prop([fc.array(ofAnySize, { minLength: 1, maxLength: 40 })])(
    "keeps its relative precision at every size",
    (drawn) => {
      using _ = new Scope();
      const xs = name === "log1p" ? drawn.map((x) => Math.max(x, -1 + 2 ** -24)) : drawn;
      const [narrow, wide] = (["float32", "float64"] as const).map((dtype) =>
        Tensor.from(xs, [xs.length], dtype)[name as Name]().toArray(),
      );
      xs.forEach((x, i) => {
        const y = exact(x);
        expect(Math.abs(narrow[i] - y), `float32 at ${x}`).toBeLessThanOrEqual(
          error * 2 ** -24 * Math.abs(y),
        );
        expect(Math.abs(wide[i] - y), `float64 at ${x}`).toBeLessThanOrEqual(4 * 2 ** -52 * Math.abs(y));
      });
    },
  );
});

test.prop([fc.array(ofAnySize, { minLength: 1, maxLength: 40 })])("asinh undoes sinh", (xs) => {
  using _ = new Scope();
  const x = Tensor.from(xs, [xs.length], "float64");
  x.sinh()
    .asinh()
    .data.forEach((back, i) => {
      expect(Math.abs(back - xs[i])).toBeLessThanOrEqual(8 * 2 ** -52 * Math.abs(xs[i]));
    });
});

test("sinh and cosh are finite where eˣ no longer is", () => {
  using _ = new Scope();
  const x = Tensor.from([89.3, -89.3, 90, -Infinity]);
  const largest = Math.sinh(Math.fround(89.3));
  const near = (values: number[]): number[] => values.map((y) => (Number.isFinite(y) ? y / largest : y));
  const bound = 6 * 2 ** -24; // as above
  near(x.sinh().toArray()).forEach((y, i) => {
    expect(y).toBeCloseTo([1, -1, Infinity, -Infinity][i], -Math.log10(2 * bound));
  });
  near(x.cosh().toArray()).forEach((y, i) => {
    expect(y).toBeCloseTo([1, 1, Infinity, Infinity][i], -Math.log10(2 * bound));
  });
});
