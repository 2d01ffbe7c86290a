import { checkFinite } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { expm1Of } from "./expm1.ts";

const op = defineElementwise({
  name: "elu",
  inputs: 1,
  params: 1,
  formula: ([x], [alpha]) => Expr.constant(0).lessThan(x, x, expm1Of(x.min(0)).mul(alpha)),
  samples: [
    { ...sample([2, 5]), attrs: [1.5], range: [0.1, 1] },
    { ...sample([5]), attrs: [1.5], range: [-1, -0.1] },
  ],
});

/** x above 0, `alpha` (eˣ − 1) (alpha is 1 unless given) from there down (arXiv:1511.07289). */
export function elu(x: Tensor, alpha?: number): Tensor {
  const given = alpha ?? 1;
  checkFinite(given, "elu", "alpha");
  return apply(op, [x], [given]);
}
