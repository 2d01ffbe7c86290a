import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "minimum",
  inputs: 2,
  formula: ([a, b]) => a.min(b),
  integers: true,
  samples: [sample([2, 5], [2, 5]), sample([4, 3], [3])],
});

/** The smaller of a and b, element by element; b may be a number. On ties the gradient goes to a. */
export const minimum = (a: Tensor, b: Tensor | number): Tensor =>
  apply(op, [a, operand(b, a, "minimum")], []);
