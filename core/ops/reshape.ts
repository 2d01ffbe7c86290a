import { each } from "../formula/launch.ts";
import { defineOp, record, sample } from "../op.ts";
import { checkShape, type Shape, showShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "reshape",
  shape([x], to) {
    checkShape(to, "reshape");
    if (sizeOf(to) !== x.size) {
      throw new Error(
        `reshape: ${showShape(x.shape)} (${x.size} numbers) does not fit ${showShape(to)} (${sizeOf(to)})`,
      );
    }
    return to;
  },
  formula: ([x], to) => each(to, (...at) => x.as(to).at(...at)),
  backward: (dy, [x]) => [dy.reshape(x.shape)],
  samples: [{ ...sample([2, 6]), attrs: [3, 4] }],
});

/** The same numbers in the same order under another shape. Free: both share one storage. */
export const reshape = (x: Tensor, to: Shape): Tensor => record(op, x.alias(op.shape([x], to)), [x], to);
