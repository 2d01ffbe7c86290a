import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packWeights } from "../../../core/cpu/product/choose.ts";
import { forFewRows, forSomeRows, PackedWeights } from "../../../core/cpu/product/layout.ts";
import { productWasm } from "../../../core/cpu/product/product.ts";
import { levels } from "../../../core/cpu/product/quantize.ts";
import { Expr } from "../../../core/formula/expr.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { rounded } from "../../../core/weight-format.ts";
import { bits, flavours, length, numbers } from "./support.ts";

const formats = ["float32", "bfloat16", "int8"] as const;

const cases = fc.record({
  M: fc.integer({ min: 1, max: 13 }),
  // One panel or several, the last one with every number of columns.
  N: fc.oneof(length, fc.integer({ min: 41, max: 80 })),
  // Past 516 there are fewer levels.
  K: fc.oneof(length, fc.integer({ min: 500, max: 600 })),
  format: fc.constantFrom(...formats),
  transB: fc.boolean(),
  bias: fc.boolean(),
  residual: fc.boolean(),
  activation: fc.boolean(),
  /** Rows of x are as large as this to the power of their number: each must have a scale of its own. */
  spread: fc.constantFrom(1, 10, 1e-3),
  seed: fc.nat(),
});

describe.each(flavours)("streamed weights $name", ({ run: flavour }) => {
  it("agree with float64 within the error their format allows", () => {
    fc.assert(
      fc.property(cases, ({ M, N, K, format, transB, spread, seed, ...c }) => {
        using _ = new Scope();
        const a = numbers([M, K], seed);
        for (let i = 0; i < a.size; i++) a.data[i] *= spread ** Math.floor(i / K);
        const weight = numbers([K, N], seed + 1);
        const b = packWeights(weight, K, N, transB, forFewRows(format));
        const bias = c.bias ? numbers([N], seed + 2) : undefined;
        const residual = c.residual ? numbers([M, N], seed + 3) : undefined;
        const activation = c.activation ? Expr.input(0).tanh() : undefined;
        const out = Tensor.empty([M, N]);
        flavour(() => productWasm({ out, a, b, M, N, K, bias, residual, activation }))?.();
        for (let n = 0; n < N; n++) {
          const given = Float64Array.from(
            { length: K },
            (_unused, k) => weight.data[transB ? n * K + k : k * N + n],
          );
          const { numbers: kept, scale } = rounded(given, format);
          const column = Float64Array.from(kept, (w) => w * scale);
          const total = column.reduce((sum, w) => sum + Math.abs(w), 0);
          for (let m = 0; m < M; m++) {
            const row = Float64Array.from(a.data.subarray(m * K, (m + 1) * K));
            const largest = row.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
            let sum = column.reduce((total, w, k) => total + w * row[k], bias?.data[n] ?? 0);
            if (activation) sum = Math.tanh(sum);
            sum += residual?.data[m * N + n] ?? 0;
            // Levels of x: half of one and its own rounding. Otherwise K roundings of a partial sum.
            const step = format === "int8" ? 0.51 / levels(K) : 2 ** -24 * Math.sqrt(K);
            const bound = largest * total * step + 1e-6 * (1 + Math.abs(sum));
            expect(Math.abs(out.data[m * N + n] - sum)).toBeLessThan(bound);
          }
        }
        b.dispose();
      }),
      { numRuns: 60 },
    );
  });
});

/** x W for integers: the scale of x is 1 when it has its largest level. */
function integers(K: number, x: (k: number) => number, w: (k: number, n: number) => number): Tensor {
  const N = 27;
  const a = Tensor.from(
    Float32Array.from({ length: K }, (_, k) => x(k)),
    [1, K],
  );
  const b = new PackedWeights(1, K, N, forFewRows("int8"));
  for (let n = 0; n < N; n++)
    b.setColumn(0, n, { numbers: Float32Array.from({ length: K }, (_, k) => w(k, n)), scale: 1 });
  const out = Tensor.empty([1, N]);
  productWasm({ out, a, b, M: 1, N, K })?.();
  b.dispose();
  return out;
}

describe("int8 weights", () => {
  it.each([1, 2, 3, 515, 516, 517, 518, 4096, 8191])("sum %i integers exactly, up to the largest", (K) => {
    using _ = new Scope();
    const L = levels(K);
    expect(127 * L * K).toBeLessThan(2 ** 31);
    const random = (k: number, n: number): number => Math.imul(k + 977, 7919 + 31 * n) >>> 3;
    const [x, w] = [
      (k: number) => (k === 0 ? L : (random(k, 1) % (2 * L + 1)) - L),
      (k: number, n: number) => (k === 0 ? 127 : (random(k, n) % 255) - 127),
    ];
    const mixed = integers(K, x, w);
    for (let n = 0; n < mixed.size; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x(k) * w(k, n);
      expect(mixed.data[n]).toBe(Math.fround(sum));
    }
    const extreme = integers(
      K,
      () => -L,
      (_k, n) => (n % 2 ? 127 : -127),
    );
    extreme.data.forEach((sum, n) => {
      expect(sum).toBe(Math.fround((n % 2 ? -127 : 127) * L * K));
    });
  });

  it("give the same bits with and without fused multiply-add", () => {
    using _ = new Scope();
    const [M, K, N] = [7, 130, 61];
    const [a, bias] = [numbers([M, K], 1), numbers([N], 3)];
    const b = packWeights(numbers([K, N], 2), K, N, false, forFewRows("int8"));
    const [fused, split] = flavours.map(({ run }) => {
      const out = Tensor.empty([M, N]);
      run(() => productWasm({ out, a, b, M, N, K, bias })?.());
      return bits(out);
    });
    expect(split).toEqual(fused);
    b.dispose();
  });

  it("keep rows apart: zeros, tiny and huge numbers, infinities and NaN", () => {
    using _ = new Scope();
    const K = 9;
    const b = packWeights(Tensor.ones([K, 5]), K, 5, false, forFewRows("int8"));
    const all = (value: number) => new Array<number>(K).fill(value);
    const at = (k: number, value: number) => all(1).with(k, value);
    const rows = [
      all(0),
      all(1e-44),
      all(3e37),
      ...Array.from({ length: K }, (_, k) => at(k, Number.NaN)),
      at(2, Number.POSITIVE_INFINITY),
      at(8, Number.NEGATIVE_INFINITY),
      all(1),
    ];
    const a = Tensor.from(rows.flat(), [rows.length, K]);
    const out = Tensor.empty([rows.length, 5]);
    productWasm({ out, a, b, M: rows.length, N: 5, K })?.();
    const row = (m: number): number[] => [...out.data.slice(5 * m, 5 * m + 5)];
    expect(row(0)).toEqual([0, 0, 0, 0, 0]);
    for (const x of row(1)) expect(Math.abs(x)).toBeLessThan(2 ** -100);
    for (const x of row(2)) expect(x / 27e37).toBeCloseTo(1, 5);
    // A row with a number that is none, or with an infinity, gives no finite result.
    for (let m = 3; m < rows.length - 1; m++) expect(row(m).filter(Number.isFinite)).toEqual([]);
    for (const x of row(rows.length - 1)) expect(x).toBeCloseTo(9, 5);
    b.dispose();
  });
});

describe("every format", () => {
  it.each(formats)("%s gives a row the same bits whatever rows stand beside it", (format) => {
    using _ = new Scope();
    const [M, K, N] = [23, 101, 53];
    const a = numbers([M, K], 1);
    const b = packWeights(numbers([K, N], 2), K, N, false, forFewRows(format));
    const whole = Tensor.empty([M, N]);
    productWasm({ out: whole, a, b, M, N, K })?.();
    for (const rows of [1, 2, 3, 4, 7]) {
      const some = Tensor.empty([rows, N]);
      productWasm({
        out: some,
        a: Tensor.from(a.data.slice((M - rows) * K), [rows, K]),
        b,
        M: rows,
        N,
        K,
      })?.();
      expect(bits(some)).toEqual(bits(whole).slice((M - rows) * N));
    }
    b.dispose();
  });

  it("float32 gives the bits of products that are not streamed", () => {
    using _ = new Scope();
    const [M, K, N] = [9, 700, 85];
    const [a, weight] = [numbers([M, K], 1), numbers([K, N], 2)];
    const b = packWeights(weight, K, N, false, forFewRows("float32"));
    for (const { run } of flavours) {
      const [streamed, plain] = [b, weight].map((right) => {
        const out = Tensor.empty([M, N]);
        run(() => productWasm({ out, a, b: right, M, N, K })?.());
        return bits(out);
      });
      expect(streamed).toEqual(plain);
    }
    b.dispose();
  });
});

describe("weights for any number of rows", () => {
  // So many that each four rows ask for one, two or four lines of the next panel; K with steps left behind the
  // stretches.
  const cases = fc.record({
    M: fc.integer({ min: 14, max: 140 }),
    N: fc.integer({ min: 1, max: 90 }),
    K: fc.oneof(fc.constantFrom(64, 128), fc.integer({ min: 60, max: 200 })),
    format: fc.constantFrom("float32", "bfloat16"),
    seed: fc.nat(),
  });
  it("give the bits of products that are not packed, of the rounded weights", () => {
    fc.assert(
      fc.property(cases, ({ M, N, K, format, seed }) => {
        using _ = new Scope();
        const [a, weight] = [numbers([M, K], seed), numbers([K, N], seed + 1)];
        const kept = Tensor.from(rounded(weight.data, format).numbers, [K, N]);
        const packed = packWeights(weight, K, N, false, forSomeRows(format));
        const [out, expected] = [Tensor.empty([M, N]), Tensor.empty([M, N])];
        productWasm({ out, a, b: packed, M, N, K })?.();
        productWasm({ out: expected, a, b: kept, M, N, K })?.();
        expect(bits(out)).toEqual(bits(expected));
        packed.dispose();
      }),
      { numRuns: 40 },
    );
  });
});
