import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gatherRowsWasm } from "../../../core/cpu/kernels/gather.ts";
import { layerNormWasm } from "../../../core/cpu/kernels/layer-norm.ts";
import { layerNormGradWasm, layerNormSumsWasm } from "../../../core/cpu/kernels/layer-norm-grad.ts";
import { normWasm } from "../../../core/cpu/kernels/norm.ts";
import { permuteWasm } from "../../../core/cpu/kernels/permute.ts";
import { sumToWasm } from "../../../core/cpu/kernels/reduce.ts";
import { softmaxGradWasm, softmaxWasm } from "../../../core/cpu/kernels/softmax.ts";
import { plainKernel } from "../../../core/formula/plain.ts";
import { adamWStep } from "../../../core/ops/adamw.ts";
import { op as norm } from "../../../core/ops/norm.ts";
import { Scope } from "../../../core/scope.ts";
import { broadcastStrides, sizeOf, stridesOf } from "../../../core/shape.ts";
import { Tensor } from "../../../core/tensor.ts";
import { flavours, largestError, length, numbers } from "./support.ts";

const matrix = fc.record({ rows: length, C: length, seed: fc.nat() });

/** Rows of a tensor as float64 numbers. */
function rowsOf(x: Tensor, C: number): number[][] {
  return Array.from({ length: x.size / C }, (_, row) => Array.from(x.data.subarray(row * C, (row + 1) * C)));
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe.each(flavours)("row kernels $name", ({ run }) => {
  const property = <T>(arbitrary: fc.Arbitrary<T>, check: (c: T) => void) =>
    fc.assert(
      fc.property(arbitrary, (c) => {
        using _ = new Scope();
        run(() => check(c));
      }),
      { numRuns: 50 },
    );

  it("softmax agrees with float64", () => {
    property(matrix, ({ rows, C, seed }) => {
      const x = numbers([rows, C], seed);
      x.data.forEach((value, i) => {
        x.data[i] = value * 20;
      });
      const out = Tensor.empty([rows, C]);
      softmaxWasm(out, x)?.();
      const expected = rowsOf(x, C).flatMap((row) => {
        const e = row.map((value) => Math.exp(value - Math.max(...row)));
        return e.map((value) => value / sum(e));
      });
      expect(largestError(out, expected)).toBeLessThan(5e-7);
    });
  });

  it("softmax gradient agrees with float64", () => {
    property(matrix, ({ rows, C, seed }) => {
      const [y, dy] = [numbers([rows, C], seed), numbers([rows, C], seed + 1)];
      const dx = Tensor.empty([rows, C]);
      softmaxGradWasm(dx, y, dy)?.();
      const slopes = rowsOf(dy, C);
      const expected = rowsOf(y, C).flatMap((row, r) => {
        const dot = sum(row.map((value, i) => value * slopes[r][i]));
        return row.map((value, i) => value * (slopes[r][i] - dot));
      });
      expect(largestError(dx, expected)).toBeLessThan(1e-5);
    });
  });

  it("layer norm agrees with float64", () => {
    property(fc.record({ rows: length, C: fc.integer({ min: 2, max: 70 }), seed: fc.nat() }), (c) => {
      const x = numbers([c.rows, c.C], c.seed);
      const [gain, bias] = [numbers([c.C], c.seed + 1), numbers([c.C], c.seed + 2)];
      const out = Tensor.empty(x.shape);
      layerNormWasm({ out, x, gain, bias, eps: 1e-3 })?.();
      const expected = rowsOf(x, c.C).flatMap((row) => {
        const mean = sum(row) / c.C;
        const scale = 1 / Math.sqrt(sum(row.map((value) => (value - mean) ** 2)) / c.C + 1e-3);
        return row.map((value, i) => (value - mean) * scale * gain.data[i] + bias.data[i]);
      });
      // Values are below √70 after normalisation; a row may have a scale of up to 30 for its rounding errors.
      expect(largestError(out, expected)).toBeLessThan(2e-5);
    });
  });

  it("the norm is that of the plain kernel, bit for bit", () => {
    const shape = fc.array(length, { maxLength: 3 });
    const odd = fc.constantFrom(0.5, 0, 1e-45, 3e38, Number.POSITIVE_INFINITY, Number.NaN);
    property(fc.record({ shape, odd, seed: fc.nat() }), (c) => {
      const x = numbers(c.shape, c.seed);
      x.data[c.seed % x.size] = c.odd;
      const [fast, plain] = [Tensor.empty([]), Tensor.empty([])];
      normWasm(fast, x)?.();
      plainKernel(norm, plain, [x], [])();
      expect(fast.item()).toBe(plain.item());
    });
  });

  it("layer norm gradient agrees with float64", () => {
    property(
      fc.record({ rows: length, C: fc.integer({ min: 2, max: 70 }), seed: fc.nat() }),
      ({ rows, C, seed }) => {
        const [x, dy, gain] = [
          numbers([rows, C], seed),
          numbers([rows, C], seed + 1),
          numbers([C], seed + 2),
        ];
        const [dx, sums] = [Tensor.empty([rows, C]), Tensor.empty([2, C])];
        layerNormGradWasm(dx, dy, x, gain, 1e-2)?.();
        layerNormSumsWasm(sums, dy, x, 1e-2)?.();
        const slopes = rowsOf(dy, C);
        const [gains, biases] = [new Array<number>(C).fill(0), new Array<number>(C).fill(0)];
        const expected = rowsOf(x, C).flatMap((row, r) => {
          const mean = sum(row) / C;
          const scale = 1 / Math.sqrt(sum(row.map((value) => (value - mean) ** 2)) / C + 1e-2);
          const normal = row.map((value) => (value - mean) * scale);
          const g = slopes[r].map((value, i) => value * gain.data[i]);
          const dot = sum(g.map((value, i) => value * normal[i])) / C;
          slopes[r].forEach((value, i) => {
            gains[i] += value * normal[i];
            biases[i] += value;
          });
          return g.map((value, i) => scale * (value - sum(g) / C - normal[i] * dot));
        });
        expect(largestError(dx, expected)).toBeLessThan(5e-5);
        // Up to forty terms of at most 8 are added up.
        expect(largestError(sums, [...gains, ...biases])).toBeLessThan(1e-4);
      },
    );
  });

  it("AdamW agrees with float64", () => {
    property(
      fc.record({
        size: fc.oneof(length, fc.integer({ min: 8000, max: 8300 })),
        step: fc.integer({ min: 1, max: 1000 }),
        seed: fc.nat(),
      }),
      ({ size, step, seed }) => {
        const [parameter, gradient, firstMoment, secondMoment] = [0, 1, 2, 3].map((i) =>
          numbers([size], seed + i),
        );
        secondMoment.data.forEach((value, i) => {
          secondMoment.data[i] = Math.abs(value);
        });
        const rates = { learningRate: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };
        const [p, g, m, v] = [parameter, gradient, firstMoment, secondMoment].map((x) => x.toArray());
        adamWStep({ parameter, gradient, firstMoment, secondMoment, step, ...rates });
        const mean = m.map((value, i) => 0.9 * value + 0.1 * g[i]);
        const square = v.map((value, i) => 0.95 * value + 0.05 * g[i] ** 2);
        const expected = p.map((value, i) => {
          const scale = Math.sqrt(square[i] / (1 - 0.95 ** step)) + 1e-8;
          return value * (1 - 1e-3) - (1e-2 * mean[i]) / (1 - 0.9 ** step) / scale;
        });
        expect(largestError(firstMoment, mean)).toBeLessThan(1e-6);
        expect(largestError(secondMoment, square)).toBeLessThan(1e-6);
        expect(largestError(parameter, expected)).toBeLessThan(1e-4); // m / √v may be some hundreds
      },
    );
  });

  it("sums agree with float64 along leading, last, middle and all axes", () => {
    const shapes = fc.array(length, { minLength: 1, maxLength: 3 });
    property(
      fc.record({
        shape: shapes,
        from: fc.nat({ max: 2 }),
        count: fc.integer({ min: 1, max: 3 }),
        seed: fc.nat(),
      }),
      (c) => {
        const x = numbers(c.shape, c.seed);
        const to = c.shape.map((n, axis) => (axis >= c.from && axis < c.from + c.count ? 1 : n));
        const out = Tensor.empty(to);
        const ready = sumToWasm(out, x, to);
        expect(ready).not.toBeNull();
        ready?.();
        expect(largestError(out, sums(x, to))).toBeLessThan(1e-7 * (10 + x.size / out.size));
      },
    );
  });
});

/** Σ x over the axes where `to` has length 1. */
function sums(x: Tensor, to: readonly number[]): Float64Array {
  const out = new Float64Array(sizeOf(to));
  const [own, target] = [stridesOf(x.shape), broadcastStrides(to, x.shape)];
  for (let i = 0; i < x.size; i++) {
    let at = 0;
    x.shape.forEach((n, axis) => {
      at += (Math.floor(i / own[axis]) % n) * target[axis];
    });
    out[at] += x.data[i];
  }
  return out;
}

describe("row kernels", () => {
  it("softmax knows masks of −∞, and rows of nothing else", () => {
    using _ = new Scope();
    const x = Tensor.from([0, -Infinity, 0, -Infinity, -Infinity, -Infinity], [2, 3]);
    softmaxWasm(x, x)?.();
    expect(x.toArray()).toEqual([0.5, 0, 0.5, NaN, NaN, NaN]);
  });

  it("long sums keep their precision", () => {
    using _ = new Scope();
    const x = Tensor.full([70_001, 3], 0.1);
    const exact = 70_001 * Math.fround(0.1);
    const [columns, all] = [Tensor.empty([1, 3]), Tensor.empty([1, 1])];
    sumToWasm(columns, x, [1, 3])?.();
    sumToWasm(all, x, [1, 1])?.();
    for (const value of columns.data) expect(Math.abs(value / exact - 1)).toBeLessThan(1e-5);
    expect(Math.abs(all.item() / (3 * exact) - 1)).toBeLessThan(1e-5);
  });

  it("permutations move every element to its place", () => {
    const orders = [
      [0],
      [1, 0],
      [0, 1],
      [2, 0, 1],
      [0, 2, 1],
      [2, 1, 0],
      [0, 2, 1, 3],
      [3, 1, 0, 2],
      [0, 2, 3, 1],
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...orders),
        fc.array(fc.integer({ min: 1, max: 21 }), { minLength: 4, maxLength: 4 }),
        (order, lengths) => {
          using _ = new Scope();
          const shape = lengths.slice(0, order.length);
          const x = Tensor.from(
            Float32Array.from({ length: sizeOf(shape) }, (_, i) => i),
            shape,
          );
          const out = Tensor.full(
            order.map((axis) => shape[axis]),
            -1,
          );
          permuteWasm(out, x, order)?.();
          const [own, target] = [stridesOf(shape), stridesOf(out.shape)];
          let wrong = 0;
          for (let i = 0; i < x.size; i++) {
            const at = order.reduce(
              (sum, axis, j) => sum + (Math.floor(i / own[axis]) % shape[axis]) * target[j],
              0,
            );
            if (out.data[at] !== i) wrong++;
          }
          expect(wrong).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("gathered rows are those of the table", () => {
    fc.assert(
      fc.property(
        matrix,
        fc.array(fc.nat({ max: 10_000 }), { minLength: 1, maxLength: 20 }),
        ({ rows, C, seed }, picks) => {
          using _ = new Scope();
          const table = numbers([rows, C], seed);
          const ids = Tensor.from(
            picks.map((pick) => pick % rows),
            [picks.length],
            "int32",
          );
          const out = Tensor.empty([picks.length, C]);
          gatherRowsWasm(out, table, ids)?.();
          expect(out.toArray()).toEqual(picks.flatMap((pick) => rowsOf(table, C)[pick % rows]));
        },
      ),
      { numRuns: 50 },
    );
  });
});
