import { defineElementwise, operand } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "maximum",
  inputs: 2,
  formula: ([a, b]) => a.max(b),
  integers: true,
  samples: [
    {
      ins: [
        [2, 5],
        [2, 5],
      ],
    },
    { ins: [[4, 3], [3]] },
  ],
});

/** The larger of a and b, element by element; b may be a number. On ties the gradient goes to a. */
export const maximum = (a: Tensor, b: Tensor | number): Tensor =>
  apply(op, [a, operand(b, a, "maximum")], []);
