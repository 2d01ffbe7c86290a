import { checkInt32, refuse } from "../check.ts";
import { apply, defineOp } from "../op.ts";
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  eachRow,
  resolveAxis,
  type Shape,
  sameShape,
  showShape,
} from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "sumTo",
  shape([x], to) {
    const fits = to.length <= x.shape.length && sameShape(broadcastShapes(x.shape, to, "sumTo"), x.shape);
    if (!fits) throw new Error(`sumTo: ${showShape(x.shape)} cannot be summed to ${showShape(to)}`);
    return to;
  },
  kernels: {
    js(out, [x], to) {
      const sums = new Float64Array(out.size);
      const X = x.data;
      const strides = broadcastStrides(to, x.shape);
      const step = strides.at(-1) ?? 0;
      eachRow(x.shape, [strides], (at, count, [start]) => {
        for (let i = 0; i < count; i++) sums[start + i * step] += X[at + i];
      });
      // Exact: integers of 32 bits sum up exactly in double precision while no partial sum passes 2⁵³.
      if (out.dtype === "int32") checkInt32(sums, "sumTo");
      out.data.set(sums);
    },
  },
  integers: true,
  backward: (dy, [x]) => [dy.broadcastTo(x.shape)],
  samples: [
    { ins: [[2, 3, 4]], attrs: [3, 1] },
    { ins: [[2, 3, 4]], attrs: [] },
    { ins: [[5, 3]], attrs: [5, 1] },
    { ins: [[5, 3]], attrs: [3] },
    { ins: [[2, 3, 4]], attrs: [2, 1, 4] },
  ],
});

/** Sums over the axes along which a tensor of shape `to` would be repeated to x's shape: the gradient of broadcasting. */
export function sumTo(x: Tensor, to: Shape): Tensor {
  checkShape(to, "sumTo");
  return sameShape(x.shape, to) ? x : apply(op, [x], [...to]);
}

/** Sum over the given axes (all of them unless given). They disappear unless `keepDims`. */
export function sum(x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor {
  return sumOver(x, axes, keepDims, "sum");
}

/** Mean over the given axes (all of them unless given). */
export function mean(x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor {
  if (x.dtype === "int32")
    throw new Error(`mean: expected float32 or float64, got int32 ${showShape(x.shape)}`);
  const total = sumOver(x, axes, keepDims, "mean");
  return total.scale(total.size / x.size);
}

function sumOver(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, i) => i),
  keepDims: boolean | undefined,
  who: string,
): Tensor {
  if (!Array.isArray(axes)) refuse(who, "axes such as [0, 1]", axes);
  if (keepDims !== undefined && typeof keepDims !== "boolean")
    refuse(who, "keepDims to be true or false", keepDims);
  const gone = new Set(axes.map((axis) => resolveAxis(axis, x.shape.length, who)));
  if (gone.size < axes.length) refuse(who, "different axes", axes);
  const kept = sumTo(
    x,
    x.shape.map((length, axis) => (gone.has(axis) ? 1 : length)),
  );
  return keepDims ? kept : kept.reshape(x.shape.filter((_, axis) => !gone.has(axis)));
}
