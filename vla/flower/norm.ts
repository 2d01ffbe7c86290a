import { Tensor } from "../../core/index.ts";
import { RMSNorm } from "../../nn/index.ts";

/**
 * What "RMSNorm" divides by. Up to version 1.0.12 the library that FLOWER builds on computed √(variance + eps), the
 * unbiased variance about the mean, under that name; from 1.0.13 on it is √(mean of squares + eps). A checkpoint
 * behaves as it did in training only under the form it was trained with.
 */
export type NormForm = "mean square" | "variance";

export const makeNorm = (form: NormForm, features: number): RMSNorm =>
  form === "variance" ? new VarianceNorm(features) : new RMSNorm(features);

/** x / √(unbiased variance of x + eps) · weight over the last axis; the numerator is not centred. */
class VarianceNorm extends RMSNorm {
  override forward(x: Tensor): Tensor {
    const count = x.shape[x.shape.length - 1];
    const centred = x.sub(x.mean([-1], true));
    const variance = centred
      .square()
      .sum([-1], true)
      .scale(1 / (count - 1)); // (…, 1)
    return x.div(variance.shift(this.eps).sqrt()).mul(this.weight);
  }
}

/** (x − mean) / √(variance + 1e-6) over the last axis, without gain and bias: (B, D) → (B, D). */
export function standardise(x: Tensor): Tensor {
  const { D } = x.dims("B D", "standardise");
  return x.layerNorm(Tensor.ones([D], x.dtype), Tensor.zeros([D], x.dtype), 1e-6);
}
