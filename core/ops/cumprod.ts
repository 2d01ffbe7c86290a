import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { scan } from "./cumsum.ts";

/** At each place of an axis, the product of the numbers up to there. Its gradient is right where numbers are 0. */
export const cumprod = (x: Tensor, axis: number): Tensor =>
  scan(x, resolveAxis(axis, x.shape.length, "cumprod"), (a, b) => a.mul(b));
