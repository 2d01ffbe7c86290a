import { sum as total } from "../formula/launch.ts";
import { apply, checkFloat, defineOp, sample } from "../op.ts";
import { overAxes, reducing } from "../reduction.ts";
import { broadcastShapes, checkShape, type Shape, sameShape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "sumTo",
  shape([x], to) {
    const fits = to.length <= x.shape.length && sameShape(broadcastShapes(x.shape, to, "sumTo"), x.shape);
    if (!fits) throw new Error(`sumTo: ${showShape(x.shape)} cannot be summed to ${showShape(to)}`);
    return to;
  },
  formula: ([x], to) => reducing(x, to, (over) => over(total)),
  integers: true,
  backward: (dy, [x]) => [dy.broadcastTo(x.shape)],
  samples: [
    { ...sample([2, 3, 4]), attrs: [3, 1] },
    { ...sample([2, 3, 4]), attrs: [] },
    { ...sample([5, 3]), attrs: [5, 1] },
    { ...sample([5, 3]), attrs: [3] },
    { ...sample([2, 3, 4]), attrs: [2, 1, 4] },
  ],
});

/**
 * Sums over the axes along which a tensor of shape `to` would be repeated to x's shape: the gradient of broadcasting.
 */
export function sumTo(x: Tensor, to: Shape): Tensor {
  checkShape(to, "sumTo");
  return sameShape(x.shape, to) ? x : apply(op, [x], [...to]);
}

/** Sum over the given axes (all of them unless given). They disappear unless `keepDims`. */
export const sum = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "sum", (to) => sumTo(x, to));

/** Mean over the given axes (all of them unless given). */
export function mean(x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor {
  checkFloat(x, "mean");
  const total = overAxes(x, axes, keepDims, "mean", (to) => sumTo(x, to));
  return total.scale(total.size / x.size);
}
