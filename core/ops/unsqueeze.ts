import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** With one more axis, of length 1, which is axis `axis` of the result: −1 puts it last. Free, as `reshape`. */
export const unsqueeze = (x: Tensor, axis: number): Tensor =>
  x.reshape(x.shape.toSpliced(resolveAxis(axis, x.shape.length + 1, "unsqueeze"), 0, 1));
