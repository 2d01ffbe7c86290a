import { refuse } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<readonly number[]>({
  name: "flip",
  shape: ([x]) => x.shape,
  formula: ([x], axes) =>
    each(x.shape, (...at) =>
      x.at(...at.map((i, axis) => (axes.includes(axis) ? i.mul(-1).add(x.shape[axis] - 1) : i))),
    ),
  integers: true,
  backward: (dy, _ins, _out, axes) => [dy.flip(axes)],
  samples: [
    { ...sample([2, 3, 4]), attrs: [0, 2] },
    { ...sample([5]), attrs: [0] },
  ],
});

/** In reverse order along each of these axes. */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  if (!Array.isArray(axes)) refuse("flip", "axes such as [0, 1]", axes);
  const own = axes.map((axis) => resolveAxis(axis, x.shape.length, "flip"));
  if (new Set(own).size < own.length) refuse("flip", "different axes", axes);
  return apply(op, [x], own);
}
