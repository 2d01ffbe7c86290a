import { overAxes } from "../reduction.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

/**
 * Product over the given axes (all of them unless given), 1 of no numbers. A tree of products of two, so that gradients
 * of every order are right where numbers are 0.
 */
export const prod = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "prod", (to) =>
    to.length < x.shape.length
      ? along(x.reshape([x.size]), 0).reshape(to)
      : to.reduce((y, length, axis) => (length === y.shape[axis] ? y : along(y, axis)), x),
  );

function along(x: Tensor, axis: number): Tensor {
  const length = x.shape[axis];
  if (length === 0) return x.sumTo(x.shape.with(axis, 1)).onesLike();
  if (length === 1) return x;
  const half = Math.floor(length / 2);
  const pairs = x.slice(axis, 0, half).mul(x.slice(axis, half, 2 * half));
  const odd = length % 2 === 1;
  return along(odd ? concat([pairs, x.slice(axis, length - 1, length)], axis) : pairs, axis);
}
