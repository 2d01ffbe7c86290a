import type { TensorView } from "../device.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis, sameShape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<number>({
  name: "gather",
  shape([x, ids], axis) {
    const alike = ids.shape.length === x.shape.length;
    if (!alike || !sameShape(ids.shape.with(axis, 0), x.shape.with(axis, 0)))
      throw new Error(
        `gather: shapes ${showShape(x.shape)} and ${showShape(ids.shape)} differ beside axis ${axis}`,
      );
    return ids.shape;
  },
  dtype([x, ids]) {
    checkIds(ids, "gather");
    return x.dtype;
  },
  formula([x, ids], axis) {
    const [from, places] = [x.along(axis), ids.along(axis)];
    return each(places.shape, (o, k, i) => from.at(o, places.index(o, k, i), i));
  },
  check: ([x, ids], axis) => checkPlaces(ids, x.shape[axis], "gather"),
  backward: (dy, [x, ids], _out, axis) => [scatterSum(dy, ids, { axis, length: x.shape[axis] }), null],
  samples: [
    { ...sample([2, 3, 2], [2, 4, 2]), attrs: 1, indices: { 1: 3 } },
    { ...sample([5], [3]), attrs: 0, indices: { 1: 5 } },
  ],
});

export interface Along {
  readonly axis: number;
  /** Of the result's axis. */
  readonly length: number;
}

export const scatterOp = defineOp<Along>({
  name: "scatterAdd",
  shape: ([x], { axis, length }) => x.shape.with(axis, length),
  dtype: ([x]) => x.dtype,
  // Each place looks for its number among the ids: no two of them write to one.
  formula([x, ids], { axis, length }) {
    const [from, places] = [x.along(axis), ids.along(axis)];
    const [outer, K, inner] = from.shape;
    return each([outer, length, inner], (o, n, i) =>
      sum(K, (k) => places.index(o, k, i).equals(n, from.at(o, k, i), 0)),
    );
  },
  check: ([, ids], { length }) => checkPlaces(ids, length, "scatterAdd"),
  backward: (dy, [, ids], _out, { axis }) => [gather(dy, axis, ids), null],
  samples: [{ ...sample([2, 4, 2], [2, 4, 2]), attrs: { axis: 1, length: 3 }, indices: { 1: 3 } }],
});

/** The adjoint of `gather`: at each place of the axis the sum of the numbers whose id names it. */
export const scatterSum = (x: Tensor, ids: Tensor, along: Along): Tensor => apply(scatterOp, [x, ids], along);

export function checkIds(ids: Tensor, who: string): void {
  if (ids.dtype !== "int32")
    throw new Error(`${who}: expected int32 places, got ${ids.dtype} ${showShape(ids.shape)}`);
}

function checkPlaces(ids: TensorView, length: number, who: string): void {
  for (const id of ids.data) {
    if (id < 0 || id >= length)
      throw new Error(`${who}: place ${id} does not exist on an axis of length ${length}`);
  }
}

/**
 * Numbers of x from places along one axis: ids (int32) has x's shape beside the axis, and the result that of ids. In
 * three axes, axis 1: result[o, k, i] = x[o, ids[o, k, i], i]. Throws for places outside.
 */
export const gather = (x: Tensor, axis: number, ids: Tensor): Tensor =>
  apply(op, [x, ids], resolveAxis(axis, x.shape.length, "gather"));
