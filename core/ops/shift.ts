import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "shift",
  inputs: 1,
  params: 1,
  formula: ([x], [offset]) => x.add(offset),
  integers: true,
  samples: [{ ...sample([2, 5]), attrs: [0.75] }],
});

/** x + offset, for a plain number */
export const shift = (x: Tensor, offset: number): Tensor => apply(op, [x], [offset]);
