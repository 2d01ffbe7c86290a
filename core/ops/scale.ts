import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "scale",
  inputs: 1,
  params: 1,
  formula: ([x], [factor]) => x.mul(factor),
  integers: true,
  samples: [{ ...sample([2, 5]), attrs: [-1.5] }],
});

/** x · factor, for a plain number */
export const scale = (x: Tensor, factor: number): Tensor => apply(op, [x], [factor]);
