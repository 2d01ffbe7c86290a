import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import {
  choleskyInPlace,
  choleskySolveInPlace,
  multiply,
  SymmetricEigen,
} from "../../../vla/libero/linear-algebra.ts";

const entry = fc.double({ min: -3, max: 3, noNaN: true });
const square = (n: number) =>
  fc.array(entry, { minLength: n * n, maxLength: n * n }).map((a) => Float64Array.from(a));
const size = fc.integer({ min: 1, max: 7 });

function product(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  multiply(out, a, b, n, n, n);
  return out;
}

function transpose(a: Float64Array, n: number): Float64Array {
  return a.map((_, at) => a[(at % n) * n + Math.floor(at / n)]);
}

/** b bᵀ + shift I: symmetric, positive definite for shift > 0. */
function gram(b: Float64Array, n: number, shift: number): Float64Array {
  return product(b, transpose(b, n), n).map((x, at) => (at % (n + 1) === 0 ? x + shift : x));
}

function difference(a: Float64Array, b: Float64Array): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i])));
}

describe("linear algebra", () => {
  test.prop([size.chain((n) => fc.tuple(fc.constant(n), square(n), square(n)))])(
    "Cholesky solves a x = b",
    ([n, b, x]) => {
      const a = gram(b, n, 1);
      // Row k of `solved` is a system of its own; a is symmetric, so rows of x a are right-hand sides.
      const solved = product(x, a, n);
      const factor = a.slice();
      choleskyInPlace(factor, n);
      for (let k = 0; k < n; k++) choleskySolveInPlace(factor, solved, n, k * n);
      // Condition numbers stay below 7 · 7 · 9 + 1.
      expect(difference(solved, x)).toBeLessThan(1e-10);
    },
  );

  test("Cholesky refuses a matrix that is not positive definite", () => {
    expect(() => choleskyInPlace(Float64Array.of(1, 2, 2, 1), 2)).toThrow("found pivot -3 in row 1");
  });

  test.prop([size.chain((n) => fc.tuple(fc.constant(n), square(n)))])(
    "eigenvectors are orthonormal and rebuild the matrix",
    ([n, b]) => {
      const a = b.map((x, at) => (x + transpose(b, n)[at]) / 2);
      const eigen = new SymmetricEigen(n);
      eigen.decompose(a);
      const v = eigen.vectors;
      const identity = Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
      expect(difference(product(v, transpose(v, n), n), identity)).toBeLessThan(1e-13);
      const scaled = v.map((x, at) => x * eigen.values[Math.floor(at / n)]);
      expect(difference(product(transpose(v, n), scaled, n), a)).toBeLessThan(1e-12);
    },
  );

  test.prop([size.chain((n) => fc.tuple(fc.constant(n), square(n)))])(
    "the pseudo-inverse of a regular matrix is its inverse",
    ([n, b]) => {
      const a = gram(b, n, 1);
      const inverse = new Float64Array(n * n);
      new SymmetricEigen(n).pseudoInverse(inverse, a);
      const identity = inverse.map((_, at) => (at % (n + 1) === 0 ? 1 : 0));
      expect(difference(product(a, inverse, n), identity)).toBeLessThan(1e-10);
    },
  );

  test("the pseudo-inverse of a projection is the projection", () => {
    const unit = [2 / 3, 2 / 3, 1 / 3];
    const projection = Float64Array.from({ length: 9 }, (_, at) => unit[Math.floor(at / 3)] * unit[at % 3]);
    const inverse = new Float64Array(9);
    new SymmetricEigen(3).pseudoInverse(inverse, projection);
    expect(difference(inverse, projection)).toBeLessThan(1e-15);
  });
});
