import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "tanh",
  inputs: 1,
  formula: ([x]) => x.tanh(),
  samples: [{ ...sample([2, 5]), range: [-3, 3] }],
});

/** Hyperbolic tangent, in (−1, 1). */
export const tanh = (x: Tensor): Tensor => apply(op, [x], []);
