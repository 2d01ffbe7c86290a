import { refuse } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "maskedFill",
  inputs: 2,
  params: 1,
  formula: ([x, mask], [value]) => mask.equals(0, x, value),
  integers: true,
  samples: [{ ...sample([2, 5], [5]), attrs: [3], range: [0.1, 1] }],
});

/** `value` where `mask`, of x's dtype, is not 0, else x. */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  if (typeof value !== "number") refuse("maskedFill", "a number", value);
  return apply(op, [x, mask], [value]);
}
