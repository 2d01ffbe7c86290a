import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "floor",
  inputs: 1,
  formula: ([x]) => x.floor(),
  integers: true,
  samples: [{ ...sample([2, 5]), range: [0.1, 0.9] }],
});

/** The largest integer that is not above x. It has no gradient. */
export const floor = (x: Tensor): Tensor => apply(op, [x], []);
