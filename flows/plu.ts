import { type Random, showShape, sizeOf, type Tensor } from "../core/index.ts";
import { buffer, type Initialiser, parameter } from "../nn/index.ts";
import { Bijector, forBatch, type Mapped } from "./bijector.ts";
import { factorise, randomOrthogonal } from "./linear-algebra.ts";

/**
 * An invertible matrix kept as its factors (Glow, arXiv:1807.03039, eq. 10), applied to the flattened row-major event:
 *   z = x W    W = P (I + L) (U + diag s)    log |det J| = Σ log |s|
 * L and U are strictly triangular: only their own triangle counts, whatever a checkpoint stores in the other one and on
 * the diagonal. P is a fixed permutation matrix; the inverse uses the stored `P_inv`, as NinA's checkpoints do.
 * `s` is unconstrained: where an entry is zero the layer is not invertible and the log-determinant is −∞.
 */
export class InvertiblePLU extends Bijector {
  s: Tensor; // (N)
  U: Tensor; // (N, N)
  L: Tensor; // (N, N)
  P: Tensor; // (N, N), not trained
  P_inv: Tensor; // (N, N), not trained

  /** Starts as a random rotation or reflection: |det W| = 1. */
  constructor(size: number) {
    super();
    const drawnWithS: Initialiser = () => {};
    this.s = parameter([size], (_, random) => this.#draw(random));
    this.U = parameter([size, size], drawnWithS);
    this.L = parameter([size, size], drawnWithS);
    this.P = buffer([size, size], drawnWithS);
    this.P_inv = buffer([size, size], drawnWithS);
  }

  forward(x: Tensor): Mapped {
    const row = this.#flattened(x);
    const a = row.matmul(this.P);
    const b = a.add(a.matmul(this.L.triangle({ lower: true })));
    const c = b.mul(this.s).add(b.matmul(this.U.triangle({ lower: false })));
    return { out: c.reshape(x.shape), logDet: forBatch(this.#logDet(), x) };
  }

  inverse(z: Tensor): Mapped {
    const column = this.#flattened(z).div(this.s).t(); // row · A = y  ⇔  Aᵀ · column = yᵀ
    // U + diag s = (U diag s⁻¹ + I) diag s, so both solves see ones on the diagonal.
    const b = this.U.div(this.s).t().triangularSolve(column, { lower: true, unit: true });
    const a = this.L.t().triangularSolve(b, { lower: false, unit: true });
    const x = a.t().matmul(this.P_inv);
    return { out: x.reshape(z.shape), logDet: forBatch(this.#logDet().neg(), z) };
  }

  /** (B, …event) → (B, N) */
  #flattened(x: Tensor): Tensor {
    const N = this.s.size;
    if (x.shape.length === 0 || sizeOf(x.shape.slice(1)) !== N)
      throw new Error(`InvertiblePLU: expected events of ${N} entries, got a batch ${showShape(x.shape)}`);
    return x.reshape([x.shape[0], N]);
  }

  #logDet(): Tensor {
    return this.s.abs().log().sum();
  }

  #draw(random: Random): void {
    const N = this.s.size;
    const { order, lower, upper } = factorise(randomOrthogonal(N, random));
    const [U, L, P, inverse] = [0, 1, 2, 3].map(() => new Float64Array(N * N));
    const s = new Float64Array(N);
    for (let i = 0; i < N; i++) {
      // Row order[i] of the matrix became row i of L U: P has a one at (order[i], i).
      P[order[i] * N + i] = 1;
      inverse[i * N + order[i]] = 1;
      s[i] = upper[i * N + i];
      L[i * N + i] = 1; // not read; stored as checkpoints have it
      for (let j = 0; j < i; j++) L[i * N + j] = lower[i * N + j];
      for (let j = i + 1; j < N; j++) U[i * N + j] = upper[i * N + j];
    }
    this.U.write(U);
    this.L.write(L);
    this.P.write(P);
    this.P_inv.write(inverse);
    this.s.write(s);
  }
}
