import { checkFinite } from "../check.ts";
import { checkFloat } from "../op.ts";
import { overAxes } from "../reduction.ts";
import { sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Variance over the given axes (all of them unless given): Σ (x − mean)² / (N − correction). `correction` is 1 unless
 * given, as in PyTorch; NaN where N is not larger.
 */
export const variance = (
  x: Tensor,
  axes?: readonly number[],
  keepDims?: boolean,
  correction?: number,
): Tensor => spread(x, axes, keepDims, correction, "var");

/** The same in the name of `who`. */
export function spread(
  x: Tensor,
  axes: readonly number[] | undefined,
  keepDims: boolean | undefined,
  correction: number | undefined,
  who: string,
): Tensor {
  checkFloat(x, who);
  const less = correction ?? 1;
  checkFinite(less, who, "correction", 0);
  return overAxes(x, axes, keepDims, who, (to) => {
    const count = x.size / sizeOf(to);
    const mean = x.sumTo(to).scale(1 / count);
    return x
      .sub(mean)
      .square()
      .sumTo(to)
      .scale(1 / Math.max(0, count - less));
  });
}
