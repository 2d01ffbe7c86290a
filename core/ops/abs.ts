import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "abs",
  inputs: 1,
  formula: ([x]) => x.abs(),
  integers: true,
  samples: [
    { ...sample([7]), range: [0.1, 1] },
    { ...sample([2, 5]), range: [-1, -0.1] },
  ],
});

/** |x|; its gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => apply(op, [x], []);
