import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { spread } from "./var.ts";

/** √x whose gradient at 0 is 0: where all numbers are the same, their deviation is at its smallest. */
const root = defineElementwise({
  name: "stdRoot",
  inputs: 1,
  formula: ([x]) => x.sqrt(),
  backward: (dy, _ins, y) => [
    dy
      .mul(y.ne(0))
      .div(y.add(y.eq(0)))
      .scale(0.5),
  ],
  samples: [{ ...sample([2, 3]), range: [0.5, 2] }],
});

/** Standard deviation, the root of `var`; its gradient at 0 is 0. */
export const std = (x: Tensor, axes?: readonly number[], keepDims?: boolean, correction?: number): Tensor =>
  apply(root, [spread(x, axes, keepDims, correction, "std")], []);
