import type { Tensor } from "../tensor.ts";
import { scatterSum } from "./gather.ts";
import { alongOf } from "./scatter-add.ts";

/**
 * x with numbers of `source` in place of its own at places along one axis; shapes as in `scatterAdd`. In three axes,
 * axis 1: result[o, ids[o, k, i], i] = source[o, k, i]. Numbers that go to one place are added up there. Throws for
 * places outside.
 */
export function scatter(x: Tensor, axis: number, ids: Tensor, source: Tensor): Tensor {
  const along = alongOf(x, axis, ids, source, "scatter");
  const isNamed = scatterSum(source.onesLike(), ids, along);
  return isNamed.where(scatterSum(source, ids, along), x);
}
