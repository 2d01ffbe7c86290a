import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "sigmoid",
  inputs: 1,
  formula: ([x]) => x.mul(0.5).tanh().mul(0.5).add(0.5), // 1 / (1 + e⁻ˣ) without overflow
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** The logistic function 1 / (1 + e⁻ˣ), in (0, 1). */
export const sigmoid = (x: Tensor): Tensor => apply(op, [x], []);
