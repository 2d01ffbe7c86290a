import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "cos",
  inputs: 1,
  formula: ([x]) => x.cos(),
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** Cosine of x radians. */
export const cos = (x: Tensor): Tensor => apply(op, [x], []);
