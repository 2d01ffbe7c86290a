import { refuse } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<readonly number[]>({
  name: "permute",
  shape([x], order) {
    if ([...order].sort((a, b) => a - b).some((axis, i) => axis !== i) || order.length !== x.shape.length) {
      throw new Error(
        `permute: expected an order of the ${x.shape.length} axes of ${showShape(x.shape)}, got [${order}]`,
      );
    }
    return order.map((axis) => x.shape[axis]);
  },
  formula([x], order) {
    const shape = order.map((axis) => x.shape[axis]);
    return each(shape, (...at) => x.at(...order.map((_, axis) => at[order.indexOf(axis)])));
  },
  integers: true,
  backward: (dy, _ins, _out, order) => [dy.permute(order.map((_, axis) => order.indexOf(axis)))],
  samples: [
    { ...sample([2, 3, 4]), attrs: [2, 0, 1] },
    { ...sample([2, 3, 4, 5]), attrs: [0, 2, 1, 3] },
    { ...sample([3, 4]), attrs: [1, 0] },
  ],
});

/** Axis i of the result is axis order[i] of x. Copies. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  if (!Array.isArray(order)) refuse("permute", "an order of axes such as [1, 0]", order);
  return apply(op, [x], [...order]);
}

/** Swaps the last two axes. */
export function t(x: Tensor): Tensor {
  const rank = x.shape.length;
  if (rank < 2) throw new Error(`t: expected two axes at least, got ${showShape(x.shape)}`);
  const order = x.shape.map((_, axis) => axis);
  return permute(x, order.with(rank - 2, rank - 1).with(rank - 1, rank - 2));
}
