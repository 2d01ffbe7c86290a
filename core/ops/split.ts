import { checkInteger, refuse } from "../check.ts";
import { resolveAxis, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { slice } from "./slice.ts";

/**
 * Pieces along one axis: of these lengths, which make up the whole, or all of one length, but the last may be shorter.
 */
export function split(x: Tensor, lengths: number | readonly number[], axis: number): Tensor[] {
  const at = resolveAxis(axis, x.shape.length, "split");
  const whole = x.shape[at];
  if (typeof lengths === "number") {
    checkInteger(lengths, 1, "split", "length");
    const count = Math.max(1, Math.ceil(whole / lengths));
    return Array.from({ length: count }, (_, i) =>
      slice(x, at, i * lengths, Math.min(whole, (i + 1) * lengths)),
    );
  }
  if (!Array.isArray(lengths)) refuse("split", "a length or an array of lengths", lengths);
  for (const length of lengths) checkInteger(length, 0, "split", "lengths");
  if (lengths.reduce((sum, length) => sum + length, 0) !== whole)
    throw new Error(`split: lengths [${lengths}] do not make up axis ${at} of ${showShape(x.shape)}`);
  let start = 0;
  return lengths.map((length) => slice(x, at, start, (start += length)));
}
