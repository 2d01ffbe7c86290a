import { defineElementwise } from "../elementwise.ts";
import { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "relu",
  inputs: 1,
  formula: ([x]) => Expr.constant(0).max(x),
  integers: true,
  samples: [
    { ...sample([2, 5]), range: [0.1, 1] },
    { ...sample([5]), range: [-1, -0.1] },
  ],
});

/** max(x, 0); its gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => apply(op, [x], []);
