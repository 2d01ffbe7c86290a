/** Small dense linear algebra on row-major float64 arrays on the host, for initialising, checking and certifying. */
import type { Random } from "../core/index.ts";

/** A row-major square matrix. */
export type Matrix = Float64Array;

/** P A = L U with partial pivoting: row order[i] of A is row i of L U. */
export interface Factors {
  readonly order: readonly number[];
  /** Unit lower triangular. */
  readonly lower: Matrix;
  readonly upper: Matrix;
  /** Sign of the row order: 1 or −1. */
  readonly sign: number;
}

export function factorise(matrix: ArrayLike<number>): Factors {
  const N = sideOf(matrix);
  const a = Float64Array.from(matrix);
  const order = Array.from({ length: N }, (_, i) => i);
  let sign = 1;
  for (let k = 0; k < N; k++) {
    let pivot = k;
    for (let i = k + 1; i < N; i++) if (Math.abs(a[i * N + k]) > Math.abs(a[pivot * N + k])) pivot = i;
    if (pivot !== k) {
      for (let j = 0; j < N; j++) [a[k * N + j], a[pivot * N + j]] = [a[pivot * N + j], a[k * N + j]];
      [order[k], order[pivot]] = [order[pivot], order[k]];
      sign = -sign;
    }
    if (a[k * N + k] === 0) continue; // a zero column: U is singular, the row below needs no elimination
    for (let i = k + 1; i < N; i++) {
      const factor = (a[i * N + k] /= a[k * N + k]);
      for (let j = k + 1; j < N; j++) a[i * N + j] -= factor * a[k * N + j];
    }
  }
  const lower = new Float64Array(N * N);
  const upper = new Float64Array(N * N);
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < N; j++) (j < i ? lower : upper)[i * N + j] = a[i * N + j];
    lower[i * N + i] = 1;
  }
  return { order, lower, upper, sign };
}

/** log |det A|; −∞ for a singular matrix. */
export function logAbsDet(matrix: ArrayLike<number>): number {
  const N = sideOf(matrix);
  const { upper } = factorise(matrix);
  let sum = 0;
  for (let i = 0; i < N; i++) sum += Math.log(Math.abs(upper[i * N + i]));
  return sum;
}

/**
 * Singular values, largest first, by one-sided Jacobi rotations: columns are turned pairwise until they are orthogonal;
 * then their lengths are the singular values.
 */
export function singularValues(matrix: ArrayLike<number>): Float64Array {
  const N = sideOf(matrix);
  // Columns as rows, so that each lies in one piece.
  const columns = Array.from({ length: N }, (_, j) =>
    Float64Array.from({ length: N }, (_, i) => matrix[i * N + j]),
  );
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
    turned = false;
    const squares = columns.map((column) => dot(column, column)); // kept up to date below; rounding ends with the sweep
    for (let p = 0; p < N; p++) {
      for (let q = p + 1; q < N; q++) {
        const [a, b] = [columns[p], columns[q]];
        const [aa, bb, ab] = [squares[p], squares[q], dot(a, b)];
        if (Math.abs(ab) <= 1e-15 * Math.sqrt(aa * bb)) continue;
        turned = true;
        const tau = (bb - aa) / (2 * ab);
        const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
        const cosine = 1 / Math.sqrt(1 + t * t);
        const sine = cosine * t;
        squares[p] = Math.max(0, aa - t * ab);
        squares[q] = Math.max(0, bb + t * ab);
        for (let i = 0; i < N; i++) {
          const [x, y] = [a[i], b[i]];
          a[i] = cosine * x - sine * y;
          b[i] = sine * x + cosine * y;
        }
      }
    }
  }
  return Float64Array.from(columns, (column) => Math.sqrt(dot(column, column)))
    .sort()
    .reverse();
}

/** A random orthogonal matrix, uniformly distributed: normal columns made orthonormal (Gram and Schmidt, twice). */
export function randomOrthogonal(N: number, random: Random): Matrix {
  const q = Float64Array.from({ length: N * N }, () => random.normal());
  const row = (i: number): Float64Array => q.subarray(i * N, (i + 1) * N);
  for (let i = 0; i < N; i++) {
    const current = row(i);
    // The second pass removes what rounding left of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < i; k++) {
        const other = row(k);
        const along = dot(current, other);
        for (let j = 0; j < N; j++) current[j] -= along * other[j];
      }
    }
    const length = Math.sqrt(dot(current, current));
    for (let j = 0; j < N; j++) current[j] /= length;
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function sideOf(matrix: ArrayLike<number>): number {
  const N = Math.sqrt(matrix.length);
  if (!Number.isInteger(N))
    throw new Error(`factorise: expected a square matrix, got ${matrix.length} numbers`);
  return N;
}
