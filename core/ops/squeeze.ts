import { resolveAxis, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Without that axis, which must have length 1; without all axes of length 1 unless one is given. Free, as `reshape`.
 */
export function squeeze(x: Tensor, axis?: number): Tensor {
  if (axis === undefined) return x.reshape(x.shape.filter((length) => length !== 1));
  const at = resolveAxis(axis, x.shape.length, "squeeze");
  if (x.shape[at] !== 1)
    throw new Error(`squeeze: expected length 1 along axis ${at}, got ${showShape(x.shape)}`);
  return x.reshape(x.shape.toSpliced(at, 1));
}
