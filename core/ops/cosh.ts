import { defineElementwise } from "../elementwise.ts";
import { cosh as ofCosh } from "../formula/derivative.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "cosh",
  inputs: 1,
  formula: ([x]) => ofCosh(x),
  // The formula's derivative is a difference of exponentials, which loses digits near 0.
  backward: (dy, [x]) => [dy.mul(x.sinh())],
  samples: [{ ...sample([2, 5]), range: [-3, 3] }],
});

/** Hyperbolic cosine, (eˣ + e⁻ˣ) / 2. */
export const cosh = (x: Tensor): Tensor => apply(op, [x], []);
