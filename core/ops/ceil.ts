import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "ceil",
  inputs: 1,
  formula: ([x]) => x.neg().floor().neg(),
  integers: true,
  samples: [{ ...sample([2, 5]), range: [-0.9, -0.1] }],
});

/** The smallest integer that is not below x. It has no gradient. */
export const ceil = (x: Tensor): Tensor => apply(op, [x], []);
