import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

/** At each place of an axis, the sum of the numbers up to there. */
export const cumsum = (x: Tensor, axis: number): Tensor =>
  scan(x, resolveAxis(axis, x.shape.length, "cumsum"), (a, b) => a.add(b));

/**
 * At each place, what `combine` makes of all numbers up to there, in log₂ N passes: after pass k these are the last 2ᵏ
 * (Hillis and Steele, "Data parallel algorithms", CACM 1986).
 */
export function scan(x: Tensor, axis: number, combine: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const length = x.shape[axis];
  let all = x;
  for (let step = 1; step < length; step *= 2) {
    const rest = combine(all.slice(axis, 0, length - step), all.slice(axis, step, length));
    all = concat([all.slice(axis, 0, step), rest], axis);
  }
  return all;
}
