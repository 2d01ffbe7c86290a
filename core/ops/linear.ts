import type { Tensor } from "../tensor.ts";

/** x Wᵀ + b over the last axis, with W (out, in) as checkpoints store it: (…, in) → (…, out). */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const row = x.shape.length === 1 ? x.reshape([1, x.size]) : x;
  const product = row.matmul(weight, { transposeB: true });
  const y = x.shape.length === 1 ? product.reshape([product.size]) : product;
  return bias ? y.add(bias) : y;
}
