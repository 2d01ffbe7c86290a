import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "asinh",
  inputs: 1,
  formula: ([x]) => x.asinh(),
  samples: [
    { ...sample([2, 5]), range: [-3, 3] },
    { ...sample([7]), range: [-1e-3, 1e-3] },
  ],
});

/** Inverse of sinh, log(x + √(x² + 1)), exact to the last places also near 0 and far below it. */
export const asinh = (x: Tensor): Tensor => apply(op, [x], []);
