import { checkFlags, checkInteger } from "../check.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { argsort } from "./argsort.ts";
import { gather } from "./gather.ts";
import type { Sorted } from "./sort.ts";

/** The k largest numbers along an axis (the last unless given), largest first, or with `largest` false the smallest. */
export function topk(x: Tensor, k: number, axis?: number, largest?: boolean): Sorted {
  const at = resolveAxis(axis ?? -1, x.shape.length, "topk");
  checkInteger(k, 0, "topk", "k", x.shape[at]);
  const order = { largest: largest ?? true };
  checkFlags(order, ["largest"], "topk");
  const indices = argsort(x, at, order.largest).slice(at, 0, k);
  return { values: gather(x, at, indices), indices };
}
