import { resolveAxis } from "../shape.ts";
import { checkTensor, type Tensor } from "../tensor.ts";
import { checkIds } from "./gather.ts";

/**
 * The slices of x at these places of one axis. The places (int32) may have any shape: in the result, its axes stand
 * where the axis was. Throws for places outside. Along axis 0 of a matrix it is `gatherRows`.
 */
export function indexSelect(x: Tensor, axis: number, ids: Tensor): Tensor {
  const at = resolveAxis(axis, x.shape.length, "indexSelect");
  checkTensor(ids, "indexSelect", "int32 places");
  checkIds(ids, "indexSelect");
  const order = [at, ...[...x.shape.keys()].filter((axis) => axis !== at)];
  const first = at === 0 ? x : x.permute(order);
  const rest = first.shape.slice(1);
  const rows = first
    .reshape([x.shape[at], rest.reduce((a, b) => a * b, 1)])
    .gatherRows(ids.reshape([ids.size]));
  const picked = rows.reshape([ids.size, ...rest]);
  const back = at === 0 ? picked : picked.permute(order.map((_, i) => order.indexOf(i)));
  return back.reshape(x.shape.toSpliced(at, 1, ...ids.shape));
}
