import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { broadcastShapes, checkShape, type Shape, sameShape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "broadcastTo",
  shape([x], to) {
    if (!sameShape(broadcastShapes(x.shape, to, "broadcastTo"), to)) {
      throw new Error(`broadcastTo: ${showShape(x.shape)} does not stretch to ${showShape(to)}`);
    }
    return to;
  },
  formula: ([x], to) => each(to, (...at) => x.stretched(...at)),
  integers: true,
  backward: (dy, [x]) => [dy.sumTo(x.shape)],
  samples: [
    { ...sample([3, 1]), attrs: [2, 3, 4] },
    { ...sample([]), attrs: [2, 2] },
    { ...sample([4]), attrs: [3, 4] },
  ],
});

/** Repeats x along axes of length 1 and new leading axes until it has shape `to`. */
export function broadcastTo(x: Tensor, to: Shape): Tensor {
  checkShape(to, "broadcastTo");
  return sameShape(x.shape, to) ? x : apply(op, [x], [...to]);
}
