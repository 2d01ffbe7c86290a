import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "exp",
  inputs: 1,
  formula: ([x]) => x.exp(),
  samples: [sample([2, 5]), { ...sample([3, 1, 2]), range: [-4, 4] }],
});

/** eˣ */
export const exp = (x: Tensor): Tensor => apply(op, [x], []);
