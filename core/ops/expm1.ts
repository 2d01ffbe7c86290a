import { defineElementwise } from "../elementwise.ts";
import type { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * eˣ − 1 as 2 e^(x/2) sinh(x/2), which loses no digits near 0; below −100 it is −1 in any precision, and sinh may
 * overflow.
 */
export function expm1Of(x: Expr): Expr {
  const half = x.max(-100).mul(0.5);
  return half.exp().mul(2).mul(half.sinh());
}

const op = defineElementwise({
  name: "expm1",
  inputs: 1,
  formula: ([x]) => expm1Of(x),
  backward: (dy, [x]) => [dy.mul(x.exp())],
  samples: [{ ...sample([2, 5]), range: [-3, 3] }],
});

/** eˣ − 1, precise for small x. */
export const expm1 = (x: Tensor): Tensor => apply(op, [x], []);
