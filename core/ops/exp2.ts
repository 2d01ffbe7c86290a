import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "exp2",
  inputs: 1,
  formula: ([x]) => x.mul(Math.LN2).exp(),
  samples: [sample([2, 5])],
});

/** 2ˣ as e^(x ln 2): in float32 its error is up to (2 + |x|) 2⁻²⁴ of the result. */
export const exp2 = (x: Tensor): Tensor => apply(op, [x], []);
