import { defineElementwise } from "../elementwise.ts";
import { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "reciprocal",
  inputs: 1,
  formula: ([x]) => Expr.constant(1).div(x),
  samples: [{ ...sample([2, 5]), range: [0.5, 2] }],
});

/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply(op, [x], []);
