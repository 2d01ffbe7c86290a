import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "neg",
  inputs: 1,
  formula: ([x]) => x.neg(),
  integers: true,
  samples: [sample([2, 5])],
});

/** −x */
export const neg = (x: Tensor): Tensor => apply(op, [x], []);
