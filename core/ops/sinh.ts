import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "sinh",
  inputs: 1,
  formula: ([x]) => x.sinh(),
  samples: [
    { ...sample([2, 5]), range: [-3, 3] },
    { ...sample([7]), range: [-1e-3, 1e-3] },
  ],
});

/** Hyperbolic sine, (eˣ − e⁻ˣ) / 2, exact to the last places also near 0. */
export const sinh = (x: Tensor): Tensor => apply(op, [x], []);
