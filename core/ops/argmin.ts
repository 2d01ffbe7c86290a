import { defineOp, sample } from "../op.ts";
import { checkSome } from "../reduction.ts";
import type { Tensor } from "../tensor.ts";
import { firstOfLargest, placeAlong } from "./argmax.ts";

const op = defineOp<number>({
  name: "argmin",
  shape([x], axis) {
    const to = x.shape.with(axis, 1);
    checkSome(x, to, "argmin");
    return to;
  },
  dtype: () => "int32",
  formula: ([x], axis) => firstOfLargest(x, axis, (e) => e.neg()),
  backward: () => [null],
  samples: [{ ...sample([2, 3, 4]), attrs: 2 }],
});

/** Where the smallest number stands, as `argmax` says it of the largest. */
export const argmin = (x: Tensor, axis?: number, keepDims?: boolean): Tensor =>
  placeAlong(op, x, axis, keepDims);
