import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "sqrt",
  inputs: 1,
  formula: ([x]) => x.sqrt(),
  samples: [{ ...sample([2, 5]), range: [0.2, 3] }],
});

/** √x */
export const sqrt = (x: Tensor): Tensor => apply(op, [x], []);
