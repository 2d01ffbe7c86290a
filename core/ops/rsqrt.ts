import { defineElementwise } from "../elementwise.ts";
import { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "rsqrt",
  inputs: 1,
  formula: ([x]) => Expr.constant(1).div(x.sqrt()),
  samples: [{ ...sample([2, 5]), range: [0.5, 2] }],
});

/** 1 / √x */
export const rsqrt = (x: Tensor): Tensor => apply(op, [x], []);
