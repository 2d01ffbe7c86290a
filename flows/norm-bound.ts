import type { Tensor } from "../core/index.ts";

/**
 * A number that the largest singular value of a matrix does not exceed, and comes close to: the 16th root of Σ σᵢ¹⁶
 * over all singular values (a Schatten norm), too large by the 16th root of the rank at most, 1.3 for 64. Sums of σᵢ¹⁶
 * come from powers of the Gram matrix, so unlike power iteration it is a smooth function of the matrix and never too
 * small. The matrix must not be 0. (M, N) → ()
 */
export function normBound(matrix: Tensor): Tensor {
  const { M, N } = matrix.dims("M N", "normBound");
  const total = matrix.square().sum(); // Σ σᵢ²: divided by it, no power overflows
  const gram = (M < N ? matrix.matmul(matrix.t()) : matrix.t().matmul(matrix)).div(total);
  const second = gram.matmul(gram);
  const fourth = second.matmul(second);
  const power = fourth.square().sum(); // the trace of the eighth power, Σ (σᵢ²/total)⁸
  return power.sqrt().sqrt().sqrt().mul(total).sqrt();
}
