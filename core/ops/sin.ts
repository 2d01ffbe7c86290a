import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "sin",
  inputs: 1,
  formula: ([x]) => x.sin(),
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** Sine of x radians. */
export const sin = (x: Tensor): Tensor => apply(op, [x], []);
