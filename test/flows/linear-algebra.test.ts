import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Random } from "../../core/index.ts";
import { factorise, logAbsDet, randomOrthogonal, singularValues } from "../../flows/linear-algebra.ts";

const matrix = fc
  .integer({ min: 1, max: 6 })
  .chain((N) =>
    fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: N * N, maxLength: N * N }),
  );

const product = (a: ArrayLike<number>, b: ArrayLike<number>): number[] => {
  const N = Math.sqrt(a.length);
  return Array.from({ length: N * N }, (_, at) => {
    const [i, j] = [Math.floor(at / N), at % N];
    return Array.from({ length: N }, (_, k) => a[i * N + k] * b[k * N + j]).reduce((x, y) => x + y, 0);
  });
};

describe("factorise", () => {
  test.prop([matrix])("gives rows of the matrix in another order, as lower times upper", (a) => {
    const N = Math.sqrt(a.length);
    const { order, lower, upper } = factorise(a);
    expect([...order].sort((x, y) => x - y)).toEqual(Array.from({ length: N }, (_, i) => i));
    product(lower, upper).forEach((value, at) => {
      expect(Math.abs(value - a[order[Math.floor(at / N)] * N + (at % N)])).toBeLessThan(1e-10);
    });
    expect(Math.max(...lower.map(Math.abs))).toBeLessThanOrEqual(1 + 1e-12);
  });

  test("refuses what is not square", () => {
    expect(() => factorise([1, 2, 3])).toThrow("expected a square matrix, got 3 numbers");
  });
});

describe("randomOrthogonal", () => {
  test.prop([fc.integer({ min: 1, max: 20 }), fc.nat(1000)])("has orthonormal rows", (N, seed) => {
    const q = randomOrthogonal(N, new Random(seed));
    const transposed = q.map((_, at) => q[(at % N) * N + Math.floor(at / N)]);
    product(q, transposed).forEach((value, at) => {
      expect(Math.abs(value - (at % (N + 1) === 0 ? 1 : 0))).toBeLessThan(1e-13);
    });
    expect(Math.abs(logAbsDet(q))).toBeLessThan(1e-12);
  });
});

describe("singularValues", () => {
  test.prop([matrix])("multiply to the determinant and have the matrix's length", (a) => {
    const values = singularValues(a);
    const squares = (list: ArrayLike<number>) => Array.from(list).reduce((sum, v) => sum + v * v, 0);
    expect(Math.abs(squares(values) - squares(a))).toBeLessThanOrEqual(1e-10 * (1 + squares(a)));
    const determinant = Math.exp(logAbsDet(a));
    expect(Math.abs(values.reduce((p, v) => p * v, 1) - determinant)).toBeLessThanOrEqual(
      1e-10 * (1 + squares(a)) ** (Math.sqrt(a.length) / 2),
    );
    expect(Array.from(values)).toEqual(Array.from(values).sort((x, y) => y - x));
  });

  test("of known matrices", () => {
    expect(Array.from(singularValues([3, 0, 0, -2]))).toEqual([3, 2]);
    const [large, small] = singularValues([1, 1, 0, 1]);
    expect(large).toBeCloseTo((1 + Math.sqrt(5)) / 2, 14);
    expect(small).toBeCloseTo((Math.sqrt(5) - 1) / 2, 14);
  });
});
