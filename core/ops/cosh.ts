import { defineElementwise } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "cosh",
  inputs: 1,
  formula([x]) {
    const [h, g] = [x.abs().mul(0.5).exp(), x.abs().mul(-0.5).exp()]; // e^±|x|/2: eˣ overflows before cosh does
    return h.mul(0.5).mul(h).add(g.mul(0.5).mul(g));
  },
  backward: (dy, [x]) => [dy.mul(x.sinh())],
  samples: [{ ins: [[2, 5]], range: [-3, 3] }],
});

/** Hyperbolic cosine, (eˣ + e⁻ˣ) / 2. */
export const cosh = (x: Tensor): Tensor => apply(op, [x], []);
