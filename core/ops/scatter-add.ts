import { resolveAxis, sameShape, showShape } from "../shape.ts";
import { checkTensor, type Tensor } from "../tensor.ts";
import { type Along, checkIds, scatterSum } from "./gather.ts";

/**
 * x plus numbers of `source` at places along one axis: ids (int32) has the shape of `source`, and both have x's beside
 * the axis. In three axes, axis 1: result[o, ids[o, k, i], i] += source[o, k, i], for every k. Throws for places
 * outside.
 */
export const scatterAdd = (x: Tensor, axis: number, ids: Tensor, source: Tensor): Tensor =>
  x.add(scatterSum(source, ids, alongOf(x, axis, ids, source, "scatterAdd")));

/** The axis of x that numbers of `source` go along. Throws unless ids and source have x's shape beside it. */
export function alongOf(x: Tensor, axis: number, ids: Tensor, source: Tensor, who: string): Along {
  const at = resolveAxis(axis, x.shape.length, who);
  checkTensor(ids, who, "int32 places");
  checkTensor(source, who);
  checkIds(ids, who);
  const alike = sameShape(ids.shape, source.shape) && ids.shape.length === x.shape.length;
  if (!alike || !sameShape(ids.shape.with(at, 0), x.shape.with(at, 0))) {
    const list = [x, ids, source].map((y) => showShape(y.shape)).join(", ");
    throw new Error(`${who}: shapes ${list} differ beside axis ${at}`);
  }
  return { axis: at, length: x.shape[at] };
}
