import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "softplus",
  inputs: 1,
  formula: ([x]) => x.max(0).add(x.abs().neg().exp().log1p()), // no overflow, and no loss far below 0
  // At 0 both terms have a kink, and these cancel; the formula's derivative would count one of them alone.
  backward: (dy, [x]) => [dy.mul(x.sigmoid())],
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** log(1 + eˣ) */
export const softplus = (x: Tensor): Tensor => apply(op, [x], []);
