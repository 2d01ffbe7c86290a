import { defineElementwise, isNumber } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { shift } from "./shift.ts";

const op = defineElementwise({
  name: "sub",
  inputs: 2,
  formula: ([a, b]) => a.sub(b),
  integers: true,
  samples: [sample([2, 5], [2, 5]), sample([4, 3], [3]), sample([2, 1, 3], [4, 1])],
});

/** a − b; a number is taken from every element. */
export const sub = (a: Tensor, b: Tensor | number): Tensor =>
  isNumber(b, a, "sub") ? shift(a, -b) : apply(op, [a, b], []);
