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
