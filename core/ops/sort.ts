import { checkFlags } from "../check.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { argsort } from "./argsort.ts";
import { gather } from "./gather.ts";

/** Numbers, and where they stood along the axis, as int32. */
export interface Sorted {
  readonly values: Tensor;
  readonly indices: Tensor;
}

/** The numbers along an axis (the last unless given) in the order of `argsort`, and that order. */
export function sort(x: Tensor, axis?: number, descending?: boolean): Sorted {
  const at = resolveAxis(axis ?? -1, x.shape.length, "sort");
  const order = { descending: descending ?? false };
  checkFlags(order, ["descending"], "sort");
  const indices = argsort(x, at, order.descending);
  return { values: gather(x, at, indices), indices };
}
