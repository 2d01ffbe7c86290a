/** Small dense matrices, row-major in Float64Array, written into buffers the caller keeps: no call allocates. */

/** out (n × m) = a (n × k) b (k × m). */
export function multiply(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  n: number,
  k: number,
  m: number,
): void {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a[i * k + l] * b[l * m + j];
      out[i * m + j] = sum;
    }
}

/**
 * Cholesky factor of a symmetric positive definite matrix, in place: the lower triangle of `a` (n × n) becomes L
 * with a = L Lᵀ; the rest is left alone.
 *
 * @throws Error if a pivot is not positive.
 */
export function choleskyInPlace(a: Float64Array, n: number): void {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i > j) {
        a[i * n + j] = sum / a[j * n + j];
        continue;
      }
      if (!(sum > 0))
        throw new Error(
          `choleskyInPlace: expected a positive definite matrix, found pivot ${sum} in row ${j}`,
        );
      a[j * n + j] = Math.sqrt(sum);
    }
  }
}

/** Solves L Lᵀ x = x in place, x a vector (n) that starts at `at`; L as left by `choleskyInPlace`. */
export function choleskySolveInPlace(factor: Float64Array, x: Float64Array, n: number, at = 0): void {
  for (let i = 0; i < n; i++) {
    let sum = x[at + i];
    for (let k = 0; k < i; k++) sum -= factor[i * n + k] * x[at + k];
    x[at + i] = sum / factor[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = x[at + i];
    for (let k = i + 1; k < n; k++) sum -= factor[k * n + i] * x[at + k];
    x[at + i] = sum / factor[i * n + i];
  }
}

/**
 * Eigenvalues and eigenvectors of symmetric matrices of one size, by cyclic Jacobi rotations
 * (Golub & Van Loan, Matrix Computations, section 8.5).
 */
export class SymmetricEigen {
  readonly size: number;
  /** Eigenvalues in no particular order, (n). */
  readonly values: Float64Array;
  /** Row k is the unit eigenvector of `values[k]`, (n × n). */
  readonly vectors: Float64Array;
  readonly #work: Float64Array;

  constructor(size: number) {
    this.size = size;
    this.values = new Float64Array(size);
    this.vectors = new Float64Array(size * size);
    this.#work = new Float64Array(size * size);
  }

  /** Decomposes the symmetric matrix `a` (n × n). */
  decompose(a: Float64Array): void {
    const { size: n, vectors: v } = this;
    const w = this.#work;
    w.set(a);
    v.fill(0);
    for (let i = 0; i < n; i++) v[i * n + i] = 1;

    // Off-diagonal entries shrink quadratically once small: a handful of sweeps, 30 is never reached.
    for (let sweep = 0; sweep < 30; sweep++) {
      let rotated = false;
      for (let p = 0; p < n - 1; p++)
        for (let q = p + 1; q < n; q++) {
          const apq = w[p * n + q];
          const app = w[p * n + p];
          const aqq = w[q * n + q];
          // The criterion of Demmel and Veselić: keeps small eigenvalues accurate too.
          if (Math.abs(apq) <= 1e-16 * Math.sqrt(Math.abs(app * aqq)) || apq === 0) continue;
          rotated = true;
          const theta = (aqq - app) / (2 * apq);
          const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
          const c = 1 / Math.sqrt(t * t + 1);
          const s = t * c;
          for (let k = 0; k < n; k++) {
            const kp = w[k * n + p];
            const kq = w[k * n + q];
            w[k * n + p] = c * kp - s * kq;
            w[k * n + q] = s * kp + c * kq;
          }
          for (let k = 0; k < n; k++) {
            const pk = w[p * n + k];
            const qk = w[q * n + k];
            w[p * n + k] = c * pk - s * qk;
            w[q * n + k] = s * pk + c * qk;
            const vp = v[p * n + k];
            const vq = v[q * n + k];
            v[p * n + k] = c * vp - s * vq;
            v[q * n + k] = s * vp + c * vq;
          }
          w[p * n + q] = w[q * n + p] = 0;
        }
      if (!rotated) break;
    }
    for (let i = 0; i < n; i++) this.values[i] = w[i * n + i];
  }

  /**
   * out = pseudo-inverse of the symmetric matrix `a` (n × n): eigenvalues below 1e-15 of the largest count as zero,
   * which is NumPy's `pinv` at its default cut.
   */
  pseudoInverse(out: Float64Array, a: Float64Array): void {
    const { size: n, values, vectors } = this;
    this.decompose(a);
    let largest = 0;
    for (let k = 0; k < n; k++) largest = Math.max(largest, Math.abs(values[k]));
    out.fill(0);
    for (let k = 0; k < n; k++) {
      if (Math.abs(values[k]) <= 1e-15 * largest) continue;
      for (let i = 0; i < n; i++) {
        const scaled = vectors[k * n + i] / values[k];
        for (let j = 0; j < n; j++) out[i * n + j] += scaled * vectors[k * n + j];
      }
    }
  }
}
