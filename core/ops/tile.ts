import { checkInteger, refuse } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<readonly number[]>({
  name: "tile",
  shape: ([x], counts) => x.shape.map((length, axis) => length * counts[axis]),
  formula([x], counts) {
    const shape = x.shape.map((length, axis) => length * counts[axis]);
    return each(shape, (...at) => x.at(...at.map((i, axis) => i.mod(x.shape[axis]))));
  },
  integers: true,
  backward(dy, [x], _out, counts) {
    const copies = dy.reshape(x.shape.flatMap((length, axis) => [counts[axis], length]));
    return [copies.sum(x.shape.map((_, axis) => 2 * axis))];
  },
  samples: [
    { ...sample([2, 3]), attrs: [2, 3] },
    { ...sample([4]), attrs: [2] },
  ],
});

/**
 * x side by side with itself, `counts[i]` times along axis i. Where there are fewer counts than axes or axes than
 * counts, 1s come first, as in NumPy's and PyTorch's tile.
 */
export function tile(x: Tensor, counts: readonly number[]): Tensor {
  if (!Array.isArray(counts)) refuse("tile", "counts such as [2, 1]", counts);
  for (const count of counts) checkInteger(count, 0, "tile", "counts");
  const rank = Math.max(counts.length, x.shape.length);
  const filled = (list: readonly number[]): number[] => [...new Array(rank - list.length).fill(1), ...list];
  return apply(op, [x.reshape(filled(x.shape))], filled(counts));
}
