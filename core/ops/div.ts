import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "div",
  inputs: 2,
  formula: ([a, b]) => a.div(b),
  samples: [
    { ...sample([2, 5], [2, 5]), range: [0.5, 2] },
    { ...sample([2, 1, 3], [4, 1]), range: [0.5, 2] },
  ],
});

/** a / b, element by element; b may be a number. */
export const div = (a: Tensor, b: Tensor | number): Tensor => apply(op, [a, operand(b, a, "div")], []);
