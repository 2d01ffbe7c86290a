import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "ge",
  inputs: 2,
  formula: ([a, b]) => b.lessThan(a, 1, a.equals(b, 1, 0)),
  integers: true,
  samples: [sample([2, 5], [5])],
});

/** 1 where a ≥ b, else 0 (also where either is NaN); b may be a number. */
export const ge = (a: Tensor, b: Tensor | number): Tensor => apply(op, [a, operand(b, a, "ge")], []);
