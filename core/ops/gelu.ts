import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "gelu",
  inputs: 1,
  formula: ([x]) => x.gelu(),
  samples: [{ ...sample([2, 5]), range: [-3, 3] }],
});

/** x Φ(x) with the normal distribution function Φ: the exact (erf) form of arXiv:1606.08415. */
export const gelu = (x: Tensor): Tensor => apply(op, [x], []);
