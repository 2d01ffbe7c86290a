import { checkInteger, checkPositive, checkTensor, concat, refuse, type Tensor } from "../core/index.ts";

/** Cosines and sines (length, width/2) of position p times frequency theta^(−2j/width), j < width/2. */
export function rotaryTables(
  length: number,
  width: number,
  theta: number,
): { readonly cos: Float64Array; readonly sin: Float64Array } {
  checkInteger(length, 0, "rotaryTables", "length");
  checkInteger(width, 2, "rotaryTables", "width");
  if (width % 2 !== 0) refuse("rotaryTables", "an even width", width);
  checkPositive(theta, "rotaryTables", "theta");
  const half = width / 2;
  const angles = Float64Array.from(
    { length: length * half },
    (_, i) => Math.floor(i / half) * theta ** ((-2 * (i % half)) / width),
  );
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}

/**
 * Rotary position embedding (arXiv:2104.09864) with halves, not neighbours, as pairs:
 *   y = [x₁ cos − x₂ sin, x₂ cos + x₁ sin]
 * x (…, T, D); cos and sin (T, D/2).
 */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  checkTensor(x, "rotate");
  const [x1, x2] = x.chunk(2, -1);
  return concat([x1.mul(cos).sub(x2.mul(sin)), x2.mul(cos).add(x1.mul(sin))], x.shape.length - 1);
}
