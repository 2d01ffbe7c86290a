import type { TensorData } from "./dtype.ts";

/** A matrix in a block: where it starts, and how far its rows and columns lie apart. */
export interface Operand {
  readonly data: TensorData;
  readonly at: number;
  readonly row: number;
  readonly column: number;
}

/**
 * C = A B + bias in plain TypeScript, A (M, K), B (K, N), C contiguous from `atC` on. Sums run in double precision, in
 * the order of k. Four columns go side by side: an addition need not wait for the one before it.
 */
export function multiply(
  c: TensorData,
  atC: number,
  a: Operand,
  b: Operand,
  [M, K, N]: readonly [M: number, K: number, N: number],
  bias: TensorData | null = null,
): void {
  const [A, B] = [a.data, b.data];
  const [stepA, stepB, next] = [a.column, b.row, b.column];
  for (let i = 0; i < M; i++) {
    const rowA = a.at + i * a.row;
    const rowC = atC + i * N;
    let j = 0;
    for (; j + 4 <= N; j += 4) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let k = 0, at = rowA, from = b.at + j * next; k < K; k++, at += stepA, from += stepB) {
        const x = A[at];
        s0 += x * B[from];
        s1 += x * B[from + next];
        s2 += x * B[from + 2 * next];
        s3 += x * B[from + 3 * next];
      }
      c[rowC + j] = bias ? s0 + bias[j] : s0;
      c[rowC + j + 1] = bias ? s1 + bias[j + 1] : s1;
      c[rowC + j + 2] = bias ? s2 + bias[j + 2] : s2;
      c[rowC + j + 3] = bias ? s3 + bias[j + 3] : s3;
    }
    for (; j < N; j++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += A[rowA + k * stepA] * B[b.at + j * next + k * stepB];
      c[rowC + j] = bias ? sum + bias[j] : sum;
    }
  }
}
