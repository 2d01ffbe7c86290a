import { describe, expect, it } from "vitest";
import { memory } from "../../../core/cpu/heap.ts";
import { elementwiseWasm } from "../../../core/cpu/kernels/elementwise.ts";
import { addressOf } from "../../../core/cpu/storage.ts";
import { erf, gelu, geluSlope } from "../../../core/formula/erf.ts";
import { Expr, type UnaryName } from "../../../core/formula/expr.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { flavours } from "./support.ts";

interface Stated {
  readonly reference: (x: number) => number;
  readonly ulp: number;
  /** The number in whose last places errors are counted; the exact result unless given. */
  unit?(x: number): number;
}

/** Each function in float64, and the largest error its docstring states. */
const STATED: Record<UnaryName, Stated> = {
  neg: { reference: (x) => -x, ulp: 0 },
  abs: { reference: Math.abs, ulp: 0 },
  floor: { reference: Math.floor, ulp: 0 },
  sqrt: { reference: Math.sqrt, ulp: 0.5 },
  exp: { reference: Math.exp, ulp: 1 },
  log: { reference: Math.log, ulp: 1 },
  log1p: { reference: Math.log1p, ulp: 1 },
  sinh: { reference: Math.sinh, ulp: 2 },
  asinh: { reference: Math.asinh, ulp: 2 },
  sin: { reference: Math.sin, ulp: 2 },
  cos: { reference: Math.cos, ulp: 2 },
  tanh: { reference: Math.tanh, ulp: 1.5 },
  erf: { reference: erf, ulp: 1.5 },
  gelu: { reference: gelu, ulp: 3, unit: (x) => x },
  geluSlope: { reference: geluSlope, ulp: 3, unit: () => 1 },
};

/** Every float32 whose bits are a multiple of a prime step, both signs, and all that is special. */
function arguments_(): Tensor {
  const STEP = 39_119; // about 110 000 numbers over all exponents
  const special = [
    0,
    -0,
    1,
    -1,
    -1 + 2 ** -24,
    Infinity,
    -Infinity,
    NaN,
    2 ** -149,
    -(2 ** -149),
    2 ** -126,
    3.4028234e38,
    -3.4028234e38,
  ];
  const edges = [
    88.72283,
    88.7229,
    -103.97,
    -104,
    -87.4,
    0.625,
    0.925,
    0.5,
    -0.5,
    89.41598,
    -89.41598,
    Math.SQRT2 - 1,
    Math.SQRT1_2 - 1,
    2 ** 30,
    4,
    -4,
    Math.SQRT1_2,
    Math.SQRT2,
    1e6,
    -1e6,
    1e22,
  ];
  const near = [...edges, ...[1, 2, 3, 5, 100, 5000, 300_000].map((n) => (n * Math.PI) / 2)];
  const count = Math.ceil(2 ** 32 / STEP);
  const x = Tensor.empty([count + special.length + 64 * near.length]);
  const raw = new Uint32Array(memory.buffer, addressOf(x), x.size);
  for (let i = 0; i < count; i++) raw[i] = i * STEP;
  x.data.set(special, count);
  let at = count + special.length;
  for (const value of near) {
    x.data[at] = value;
    const centre = raw[at];
    for (let i = 0; i < 64; i++) raw[at++] = centre + i - 32;
  }
  return x;
}

/** Distance in the last place of `unit`; the spacing of subnormals near zero. */
function ulps(got: number, exact: number, unit: number): number {
  const rounded = Math.fround(exact);
  if (Object.is(got, rounded) || (Number.isNaN(got) && Number.isNaN(exact))) return 0;
  // The sign of zero is wrong: it counts where errors are relative.
  if (got === 0 && rounded === 0) return unit === exact ? Number.POSITIVE_INFINITY : 0;
  if (!Number.isFinite(rounded)) {
    // One step below the largest float stands for a result that should just have overflowed.
    return Math.abs(got - Math.sign(rounded) * 3.4028235e38) / 2 ** 104;
  }
  const spacing = 2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(unit) || 2 ** -149)) - 23);
  if (!Number.isFinite(got)) return Math.abs(Math.sign(got) * 2 ** 128 - exact) / spacing;
  return Math.abs(got - exact) / spacing;
}

describe.each(flavours)("elementary functions $name", ({ run }) => {
  it.each(Object.entries(STATED))(
    "%s keeps its stated error over all of float32",
    (name, { reference, ulp, unit }) => {
      using _ = new Scope();
      const x = arguments_();
      const y = Tensor.empty(x.shape);
      const formula = Expr.input(0)[name as UnaryName]();
      run(() => elementwiseWasm(formula, 1, 0)(y, [x])?.());
      let worst = { ulps: 0, x: 0, got: 0, exact: 0 };
      for (let i = 0; i < x.size; i++) {
        const exact = reference(x.data[i]);
        const error = ulps(y.data[i], exact, unit ? unit(x.data[i]) : exact);
        if (!(error <= worst.ulps)) worst = { ulps: error, x: x.data[i], got: y.data[i], exact };
      }
      expect(worst.ulps, `${name}(${worst.x}) = ${worst.got}, exactly ${worst.exact}`).toBeLessThanOrEqual(
        ulp,
      );
    },
  );
});
