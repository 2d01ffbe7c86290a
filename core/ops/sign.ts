import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "sign",
  inputs: 1,
  formula: ([x]) => x.lessThan(0, -1, x.neg().lessThan(0, 1, x)),
  integers: true,
  backward: () => [null], // flat wherever it has a gradient
  samples: [
    { ...sample([2, 5]), range: [0.1, 1] },
    { ...sample([5]), range: [-1, -0.1] },
  ],
});

/** −1, 0 or 1; NaN stays NaN. */
export const sign = (x: Tensor): Tensor => apply(op, [x], []);
