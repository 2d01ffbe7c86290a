import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "log",
  inputs: 1,
  formula: ([x]) => x.log(),
  samples: [{ ...sample([2, 5]), range: [0.2, 4] }],
});

/** Natural logarithm: −∞ at 0, NaN below. */
export const log = (x: Tensor): Tensor => apply(op, [x], []);
