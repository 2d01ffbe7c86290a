import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "silu",
  inputs: 1,
  formula: ([x]) => x.mul(x.mul(0.5).tanh().mul(0.5).add(0.5)),
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** x · sigmoid(x), the sigmoid linear unit (arXiv:1606.08415, 1702.03118). */
export const silu = (x: Tensor): Tensor => apply(op, [x], []);
