import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "logicalAnd",
  inputs: 2,
  formula: ([a, b]) => a.equals(0, 0, b.equals(0, 0, 1)),
  integers: true,
  samples: [sample([2, 5], [5])],
});

/** 1 where neither a nor b is 0, else 0; b may be a number. */
export const logicalAnd = (a: Tensor, b: Tensor | number): Tensor =>
  apply(op, [a, operand(b, a, "logicalAnd")], []);
