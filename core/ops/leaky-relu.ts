import { checkFinite } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "leakyRelu",
  inputs: 1,
  params: 1,
  formula: ([x], [slope]) => Expr.constant(0).lessThan(x, x, x.mul(slope)),
  samples: [
    { ...sample([2, 5]), attrs: [0.2], range: [0.1, 1] },
    { ...sample([5]), attrs: [0.2], range: [-1, -0.1] },
  ],
});

/** x above 0, `slope` · x (0.01 unless given) from there down. */
export function leakyRelu(x: Tensor, slope?: number): Tensor {
  const given = slope ?? 0.01;
  checkFinite(given, "leakyRelu", "slope");
  return apply(op, [x], [given]);
}
