import type { Tensor } from "../core/index.ts";

/**
 * The mean and the variance of a tensor over some axes, which keep length 1; the variance is that of all N numbers, Σ
 * d²/N.
 */
export function moments(
  x: Tensor,
  axes: readonly number[],
): { readonly mean: Tensor; readonly variance: Tensor } {
  const mean = x.mean(axes, true);
  return { mean, variance: x.sub(mean).square().mean(axes, true) };
}

/** (x − mean)/√(variance + eps) */
export const normalised = (x: Tensor, mean: Tensor, variance: Tensor, eps: number): Tensor =>
  x.sub(mean).mul(variance.shift(eps).rsqrt());
