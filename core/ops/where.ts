import { defineElementwise, operand } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "where",
  inputs: 3,
  formula: ([condition, a, b]) => condition.equals(0, b, a),
  integers: true,
  samples: [{ ...sample([2, 5], [2, 5], [5]), range: [0.1, 1] }],
});

/** a where `condition`, of the same dtype, is not zero, else b; both may be numbers. */
export const where = (condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor =>
  apply(op, [condition, operand(a, condition, "where"), operand(b, condition, "where")], []);
