import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "square",
  inputs: 1,
  formula: ([x]) => x.mul(x),
  integers: true,
  samples: [sample([2, 5])],
});

/** x² */
export const square = (x: Tensor): Tensor => apply(op, [x], []);
