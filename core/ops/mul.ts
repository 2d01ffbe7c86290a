import { defineElementwise, isNumber } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { scale } from "./scale.ts";

const op = defineElementwise({
  name: "mul",
  inputs: 2,
  formula: ([a, b]) => a.mul(b),
  integers: true,
  samples: [sample([2, 5], [2, 5]), sample([4, 3], [3]), sample([2, 1, 3], [4, 1])],
});

/** a ⊙ b, element by element; a number multiplies every element. */
export const mul = (a: Tensor, b: Tensor | number): Tensor =>
  isNumber(b, a, "mul") ? scale(a, b) : apply(op, [a, b], []);
