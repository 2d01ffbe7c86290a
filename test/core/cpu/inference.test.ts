import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrozenWeights, plainKernels, Scope, Tensor } from "../../../core/index.ts";
import { bits, flavours, largestError, length, numbers } from "./support.ts";

/** The kernels that fused decoders are made of, against the plain ones. */

const product = fc.record({
  groups: fc.integer({ min: 1, max: 3 }),
  M: length,
  N: fc.oneof(length, fc.integer({ min: 60, max: 140 })),
  K: length,
  /** Numbers of each row that are not read. */
  extra: fc.integer({ min: 0, max: 5 }),
  shared: fc.boolean(),
  format: fc.constantFrom("float32" as const, "bfloat16" as const, "int8" as const),
  bias: fc.constantFrom("none", "one row", "a row each"),
  biasFrom: fc.integer({ min: 0, max: 2 }),
  residual: fc.boolean(),
  seed: fc.nat(),
});

function frozenLinear(c: typeof product extends fc.Arbitrary<infer T> ? T : never): Tensor {
  const { groups, M, N, K, seed } = c;
  const matrices = Array.from({ length: groups }, (_, g) => numbers([N, K], seed + g).data);
  const weights = new FrozenWeights(matrices, N, K, c.format);
  const x = numbers([c.shared ? 1 : groups, M, K + c.extra], seed + 10);
  const rows = c.bias === "one row" ? 1 : M;
  const bias = c.bias === "none" ? undefined : numbers([c.biasFrom + groups, rows, N], seed + 11);
  const residual = c.residual ? numbers([groups, M, N], seed + 12) : undefined;
  const out = x.frozenLinear(weights, { bias, biasFrom: bias ? c.biasFrom : 0, residual });
  weights.dispose();
  return out;
}

describe.each(flavours)("inference kernels $name", ({ run }) => {
  it("multiply with frozen weights as the plain kernel does", () => {
    fc.assert(
      fc.property(product, (c) => {
        using _ = new Scope();
        const out = run(() => frozenLinear(c));
        // K products of numbers below 1 in magnitude, each step rounded; with int8 weights the numbers of x are rounded
        // first, to a 32767th of the row's largest (stream.test.ts has the exact bound).
        const step = c.format === "int8" ? 0.51 / 32_767 : 0;
        const plain = plainKernels(() => frozenLinear(c));
        expect(largestError(out, plain.data)).toBeLessThan(2e-7 * (8 + c.K) + step * c.K);
      }),
      { numRuns: 60 },
    );
  });

  it("normalise by the root mean square as the plain kernel does", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), length, length, fc.nat(), (G, rows, C, seed) => {
        using _ = new Scope();
        const x = numbers([G, rows, C], seed);
        const [gain, bias] = [1, 2].map((i) => numbers([G, C], seed + i));
        const out = run(() => x.rmsNorm(gain, bias, 1e-5));
        // The largest possible result is √C.
        expect(largestError(out, plainKernels(() => x.rmsNorm(gain, bias, 1e-5)).data)).toBeLessThan(5e-6);
      }),
      { numRuns: 40 },
    );
  });
});

describe("frozen weights", () => {
  it("keep float32 exactly, bfloat16 to 8 bits, int8 to a 254th of each output's largest", () => {
    using _ = new Scope();
    const given = numbers([37, 21], 3);
    const kept = (["float32", "bfloat16", "int8"] as const).map((format) => {
      const weights = new FrozenWeights([given.data], 37, 21, format);
      const values = weights.values();
      // What is read back is float32, the error was summed in float64.
      expect(weights.error).toBeCloseTo(distance(values, given.data) / distance(given.data), 8);
      weights.dispose();
      return values;
    });
    expect(Array.from(kept[0])).toEqual(given.toArray());
    given.data.forEach((x, i) => {
      expect(Math.abs(kept[1][i] - x)).toBeLessThanOrEqual(2 ** -8 * Math.abs(x));
      expect(Math.abs(kept[2][i] - x)).toBeLessThanOrEqual(1.0001 / 254);
    });
  });

  it("give a row the same bits whatever rows stand beside it", () => {
    using _ = new Scope();
    const weights = new FrozenWeights([numbers([50, 33], 1).data], 50, 33, "bfloat16");
    const x = numbers([1, 23, 33], 2);
    const whole = x.frozenLinear(weights);
    for (let row = 0; row < 23; row++) {
      const one = x.slice(1, row, row + 1).frozenLinear(weights);
      expect(bits(one)).toEqual(bits(whole).slice(50 * row, 50 * (row + 1)));
    }
    weights.dispose();
  });

  it("refuse matrices and inputs of other sizes", () => {
    using _ = new Scope();
    expect(() => new FrozenWeights([[1, 2, 3]], 2, 2)).toThrow("expected matrices of 2 × 2 numbers, got 3");
    const weights = new FrozenWeights([[1, 2, 3, 4]], 2, 2);
    expect(() => Tensor.zeros([1, 3, 1]).frozenLinear(weights)).toThrow(
      /at least 2.*2 inputs, got \(1, 3, 1\)/,
    );
    const bias = Tensor.zeros([1, 2, 2]);
    expect(() => Tensor.zeros([1, 3, 2]).frozenLinear(weights, { bias })).toThrow(/divisor of 3/);
    weights.dispose();
  });
});

function distance(a: ArrayLike<number>, b?: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - (b?.[i] ?? 0)) ** 2;
  return Math.sqrt(sum);
}
