import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "log1p",
  inputs: 1,
  formula: ([x]) => x.log1p(),
  samples: [
    { ...sample([2, 5]), range: [-0.8, 4] },
    { ...sample([7]), range: [-1e-3, 1e-3] },
  ],
});

/** log(1 + x), exact to the last places also near 0: −∞ at −1, NaN below. */
export const log1p = (x: Tensor): Tensor => apply(op, [x], []);
