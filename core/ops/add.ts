import { defineElementwise, isNumber } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { shift } from "./shift.ts";

const op = defineElementwise({
  name: "add",
  inputs: 2,
  formula: ([a, b]) => a.add(b),
  integers: true,
  samples: [sample([2, 5], [2, 5]), sample([4, 3], [3]), sample([2, 1, 3], [4, 1]), sample([], [3])],
});

/** a + b; a number is added to every element. */
export const add = (a: Tensor, b: Tensor | number): Tensor =>
  isNumber(b, a, "add") ? shift(a, b) : apply(op, [a, b], []);
