import {
  checkFinite,
  checkInteger,
  checkOptions,
  checkPositive,
  checkTensor,
  concat,
  refuse,
  Tensor,
} from "../core/index.ts";

/**
 * Cosines and sines of a number at geometrically falling frequencies, as diffusion models embed time (arXiv:1706.03762,
 * section 3.5):  [cos(t fₖ), sin(t fₖ)]  with fₖ = scale · period^(−k/(size/2)), k < size/2.
 * t (B) → (B, size)
 */
export function sinusoids(
  t: Tensor,
  size: number,
  options: { period?: number; scale?: number } = {},
): Tensor {
  checkTensor(t, "sinusoids");
  checkInteger(size, 2, "sinusoids", "size");
  if (size % 2 !== 0) refuse("sinusoids", "an even size", size);
  checkOptions(options, ["period", "scale"], "sinusoids");
  const { period = 10_000, scale = 1 } = options;
  checkPositive(period, "sinusoids", "period");
  checkFinite(scale, "sinusoids", "scale");
  const { B } = t.dims("B", "sinusoids");
  const half = size / 2;
  const frequencies = Float64Array.from({ length: half }, (_, k) => scale * period ** (-k / half));
  const angles = t.reshape([B, 1]).mul(Tensor.from(frequencies, [1, half], t.dtype)); // (B, half)
  return concat([angles.cos(), angles.sin()], 1);
}
