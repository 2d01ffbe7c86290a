/** Pooling against loops over pixels. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor } from "../../core/index.ts";
import { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d } from "../../nn/index.ts";

const map = {
  B: fc.integer({ min: 1, max: 2 }),
  H: fc.integer({ min: 1, max: 7 }),
  W: fc.integer({ min: 1, max: 7 }),
  C: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1000),
};
const range = (low: number, high: number): number[] => Array.from({ length: high - low }, (_, i) => low + i);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** What `pool` makes of the pixels of each cell, given by the rows and the columns of its cells. */
function byLoops(
  x: Tensor,
  rows: readonly (readonly number[])[],
  columns: readonly (readonly number[])[],
  pool: (values: readonly (number | null)[]) => number,
): number[] {
  const [B, H, W, C] = x.shape;
  const at = (b: number, y: number, column: number, c: number): number | null =>
    y >= 0 && y < H && column >= 0 && column < W ? x.data[((b * H + y) * W + column) * C + c] : null;
  return range(0, B).flatMap((b) =>
    rows.flatMap((ys) =>
      columns.flatMap((xs) => range(0, C).map((c) => pool(ys.flatMap((y) => xs.map((i) => at(b, y, i, c)))))),
    ),
  );
}

const present = (values: readonly (number | null)[]): number[] => values.filter((v) => v !== null);

describe("pooling by windows", () => {
  const windows = fc
    .record({
      ...map,
      kernel: fc.integer({ min: 1, max: 3 }),
      stride: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      padded: fc.boolean(),
    })
    .filter(({ H, W, kernel }) => H >= kernel && W >= kernel);

  test.prop([windows])("takes the largest, or the mean, of each window", ({ B, H, W, C, seed, ...of }) => {
    using _ = new Scope();
    const x = new Random(seed).normals([B, H, W, C], "float64");
    const { kernel, stride = kernel } = of;
    const padding = of.padded ? Math.floor(kernel / 2) : 0;
    const cells = (length: number): number[][] =>
      range(0, Math.floor((length + 2 * padding - kernel) / stride) + 1).map((i) =>
        range(i * stride - padding, i * stride - padding + kernel),
      );
    const options = { kernel, padding, ...(of.stride && { stride }) };
    const largest = new MaxPool2d(options).forward(x);
    expect(largest.shape).toEqual([B, cells(H).length, cells(W).length, C]);
    expect(largest.toArray()).toEqual(
      byLoops(x, cells(H), cells(W), (values) => Math.max(...present(values))),
    );
    const expected = byLoops(x, cells(H), cells(W), (values) => mean(values.map((v) => v ?? 0)));
    new AvgPool2d(options).forward(x).data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(expected[i], 12);
    });
  });

  test("gives the gradient of the largest to where it stands", () => {
    using _ = new Scope();
    const x = Tensor.from([1, 5, 2, 3], [1, 2, 2, 1], "float64").tracked();
    const [slope] = grad(new MaxPool2d({ kernel: 2 }).forward(x).mul(7).sum(), [x]);
    expect(slope?.toArray()).toEqual([0, 7, 0, 0]);
  });

  test("refuses padding beyond half a window, and windows that are none", () => {
    expect(() => new MaxPool2d({ kernel: 2, padding: 2 })).toThrow(
      "MaxPool2d: expected padding of at most half a window of 2, got 2",
    );
    expect(() => new AvgPool2d({ kernel: 0 })).toThrow("AvgPool2d: expected kernel");
    expect(() => new MaxPool2d({ kernel: 3 }).forward(Tensor.zeros([1, 2, 2, 1]))).toThrow();
    expect(() => new MaxPool2d({ kernel: 1 }).forward(Tensor.zeros([2, 2]))).toThrow(
      "MaxPool2d: expected shape",
    );
  });
});

describe("adaptive pooling", () => {
  const wanted = fc.record({
    ...map,
    rows: fc.integer({ min: 1, max: 5 }),
    columns: fc.integer({ min: 1, max: 5 }),
  });

  test.prop([wanted])(
    "takes the mean, or the largest, of PyTorch's cells",
    ({ B, H, W, C, seed, rows, columns }) => {
      using _ = new Scope();
      const x = new Random(seed).normals([B, H, W, C], "float64");
      const cells = (length: number, count: number): number[][] =>
        range(0, count).map((i) =>
          range(Math.floor((i * length) / count), Math.ceil(((i + 1) * length) / count)),
        );
      const [ys, xs] = [cells(H, rows), cells(W, columns)];
      const expected = byLoops(x, ys, xs, (values) => mean(present(values)));
      const means = new AdaptiveAvgPool2d(rows, columns).forward(x);
      expect(means.shape).toEqual([B, rows, columns, C]);
      means.data.forEach((value: number, i: number) => {
        expect(value).toBeCloseTo(expected[i], 12);
      });
      const largest = new AdaptiveMaxPool2d(rows, columns).forward(x);
      expect(largest.toArray()).toEqual(byLoops(x, ys, xs, (values) => Math.max(...present(values))));
    },
  );

  test("to one cell is the mean of the map, whatever its size", () => {
    using _ = new Scope();
    const x = new Random(1).normals([2, 5, 4, 3], "float64");
    const pooled = new AdaptiveAvgPool2d(1).forward(x).reshape([2, 3]);
    const expected = x.mean([1, 2]);
    pooled.data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(expected.data[i], 12);
    });
    expect(() => new AdaptiveAvgPool2d(0)).toThrow("AdaptiveAvgPool2d: expected rows");
  });
});
