import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layoutForRows, packWeights } from "../../../core/cpu/product/choose.ts";
import { withTile } from "../../../core/cpu/product/choose-tile.ts";
import { forFewRows, forManyRows, forSomeRows, type Layout } from "../../../core/cpu/product/layout.ts";
import { productWasm } from "../../../core/cpu/product/product.ts";
import { REGISTER_TILES } from "../../../core/cpu/product/register-tile.ts";
import type { Product } from "../../../core/cpu/product/task.ts";
import { Expr } from "../../../core/formula/expr.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { bits, flavours, largestError, length, numbers } from "./support.ts";

/** Every way float32 weights may lie. */
const LAYOUTS = {
  not: null,
  few: forFewRows("float32"),
  some: forSomeRows("float32"),
  "many 4": forManyRows(REGISTER_TILES[0]),
  "many 2": forManyRows(REGISTER_TILES[1]),
  "many 6": forManyRows(REGISTER_TILES[2]),
} as const;

interface Case {
  M: number;
  N: number;
  K: number;
  batch: number;
  transA: boolean;
  transB: boolean;
  packed: keyof typeof LAYOUTS;
  bias: boolean;
  residual: boolean;
  activation: "none" | "tanh" | "gelu";
  seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  M: length,
  N: fc.oneof(length, fc.integer({ min: 60, max: 140 })),
  K: fc.oneof(length, fc.integer({ min: 500, max: 530 })),
  batch: fc.integer({ min: 1, max: 3 }),
  transA: fc.boolean(),
  transB: fc.boolean(),
  packed: fc.constantFrom("not", "few", "some", "many 4", "many 2", "many 6"),
  bias: fc.boolean(),
  residual: fc.boolean(),
  activation: fc.constantFrom("none", "tanh", "gelu"),
  seed: fc.nat(),
});

const x = Expr.input(0);
const FORMULAS = { none: undefined, tanh: x.tanh(), gelu: x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1)) };

function run(c: Case): { out: Tensor; expected: Float64Array } {
  const layout = c.transA ? null : LAYOUTS[c.packed];
  const batch = layout ? 1 : c.batch;
  const { M, N, K } = c;
  const a = numbers([batch, M * K], c.seed);
  const b = numbers([batch, K * N], c.seed + 1);
  const bias = c.bias ? numbers([N], c.seed + 2) : undefined;
  const residual = c.residual ? numbers([batch, M * N], c.seed + 3) : undefined;
  const out = numbers([batch, M * N], c.seed + 4);
  const expected = new Float64Array(out.size);
  for (let p = 0; p < batch; p++) {
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        const at = p * M * N + i * N + j;
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const left = a.data[p * M * K + (c.transA ? k * M + i : i * K + k)];
          sum += left * b.data[p * K * N + (c.transB ? j * K + k : k * N + j)];
        }
        sum += bias?.data[j] ?? 0;
        if (c.activation === "tanh") sum = Math.tanh(sum);
        // erf here is as good as the kernel's needs it: Φ by the same series is tested in math.test.ts.
        if (c.activation === "gelu") sum = sum * normal(sum);
        expected[at] = sum + (residual?.data[at] ?? 0);
      }
    }
  }
  const weights = layout ? packWeights(b, K, N, c.transB, layout) : b;
  const strides = { a: M * K, b: K * N, out: M * N };
  const { transA } = c;
  const transB = c.transB && !layout;
  const task: Product = {
    out,
    a,
    b: weights,
    M,
    N,
    K,
    batch,
    strides,
    transA,
    transB,
    bias,
    residual,
  };
  productWasm({ ...task, activation: FORMULAS[c.activation] })?.();
  if (!(weights instanceof Tensor)) weights.dispose();
  return { out, expected };
}

/** Distribution function of N(0, 1): Simpson's rule on its density. */
function normal(x: number): number {
  const steps = 200;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const t = (x * i) / steps;
    sum += (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2) * Math.exp((-t * t) / 2);
  }
  return 0.5 + (sum * x) / steps / 3 / Math.sqrt(2 * Math.PI);
}

describe.each(flavours)("matrix products $name", ({ run: flavour }) => {
  it("agree with float64 for every layout, size and epilogue", () => {
    fc.assert(
      fc.property(cases, (c) => {
        using _ = new Scope();
        const { out, expected } = flavour(() => run(c));
        // A sum of K products of numbers below 1 rounds K times: error below K · 2⁻²⁴ · (largest partial sum ~ √K).
        expect(largestError(out, expected)).toBeLessThan(2e-7 * (8 + c.K));
      }),
      { numRuns: 50 },
    );
  });
});

describe("matrix products", () => {
  it("keep the order of k: a row of a larger product has the same bits", () => {
    using _ = new Scope();
    const [M, N, K] = [23, 37, 700];
    const [a, b] = [numbers([M, K], 1), numbers([K, N], 2)];
    const whole = Tensor.empty([M, N]);
    productWasm({ out: whole, a, b, M, N, K })?.();
    const last = Tensor.from(a.data.slice(22 * K), [1, K]);
    const row = Tensor.empty([1, N]);
    productWasm({ out: row, a: last, b, M: 1, N, K })?.();
    expect(bits(row)).toEqual(bits(whole).slice(22 * N));
  });

  it("give the same bits for a transposed A as for its rows, narrow or wide", () => {
    const lengths = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 250, max: 262 }));
    const widths = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 505, max: 640 }));
    fc.assert(
      fc.property(
        widths,
        fc.integer({ min: 1, max: 80 }),
        lengths,
        fc.constantFrom(...REGISTER_TILES),
        (M, N, K, tile) => {
          using _ = new Scope();
          const [a, b] = [numbers([2, K, M], 1), numbers([2, K, N], 2)];
          const product = (own: Tensor, transA: boolean): Tensor => {
            const out = Tensor.empty([2, M, N]);
            const strides = { a: M * K, b: K * N, out: M * N };
            withTile(tile, () => productWasm({ out, a: own, b, M, N, K, batch: 2, strides, transA })?.());
            return out;
          };
          expect(bits(product(a, true))).toEqual(bits(product(a.permute([0, 2, 1]), false)));
        },
      ),
      { numRuns: 20 },
    );
  });

  it("refuse weights packed for another product", () => {
    using _ = new Scope();
    const [out, a] = [Tensor.empty([2, 5]), Tensor.empty([2, 3])];
    for (const rows of [2, 20]) {
      const b = packWeights(numbers([4, 5], 1), 4, 5, false, layoutForRows(rows) as Layout);
      expect(() => productWasm({ out, a, b, M: 2, N: 5, K: 3 })).toThrow(
        /packed for K = 4, N = 5.*2 × 3 × 5/,
      );
      b.dispose();
    }
  });

  it("leave K = 0 to the plain kernel", () => {
    using _ = new Scope();
    expect(
      productWasm({
        out: Tensor.empty([2, 3]),
        a: Tensor.empty([2, 0]),
        b: Tensor.empty([0, 3]),
        M: 2,
        N: 3,
        K: 0,
      }),
    ).toBeNull();
  });
});

describe("the tile", () => {
  it("does not change a bit of the result", () => {
    using _ = new Scope();
    const [M, N, K] = [29, 85, 1030];
    const [a, b] = [numbers([M, K], 1), numbers([K, N], 2)];
    for (const { run: flavour } of flavours) {
      const results = REGISTER_TILES.map((tile) => {
        const out = Tensor.empty([M, N]);
        flavour(() => withTile(tile, () => productWasm({ out, a, b, M, N, K })?.()));
        return bits(out);
      });
      for (const result of results) expect(result).toEqual(results[0]);
    }
  });
});
