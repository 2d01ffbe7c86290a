import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "ne",
  inputs: 2,
  formula: ([a, b]) => a.equals(b, 0, 1),
  integers: true,
  samples: [sample([2, 5], [5])],
});

/** 1 where a ≠ b, NaN being different from all, else 0; b may be a number. */
export const ne = (a: Tensor, b: Tensor | number): Tensor => apply(op, [a, operand(b, a, "ne")], []);
