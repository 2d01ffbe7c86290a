import { defineElementwise } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "gelu",
  inputs: 1,
  formula: ([x]) => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1)),
  backward: (dy, [x]) => [dy.mul(geluSlope(x))],
  samples: [{ ins: [[2, 5]], range: [-3, 3] }],
});

const slope = defineElementwise({
  name: "geluSlope",
  inputs: 1,
  // Φ(x) + x φ(x)
  formula: ([x]) =>
    x
      .mul(Math.SQRT1_2)
      .erf()
      .add(1)
      .mul(0.5)
      .add(x.mul(x.mul(x).mul(-0.5).exp()).mul(1 / Math.sqrt(2 * Math.PI))),
  // d/dx = φ(x) (2 − x²)
  backward(dy, [x]) {
    const square = x.square();
    const density = square
      .scale(-0.5)
      .exp()
      .scale(1 / Math.sqrt(2 * Math.PI));
    return [dy.mul(density.mul(square.neg().shift(2)))];
  },
  samples: [{ ins: [[2, 5]], range: [-3, 3] }],
});

const geluSlope = (x: Tensor): Tensor => apply(slope, [x], []);

/** x Φ(x) with the normal distribution function Φ: the exact (erf) form of arXiv:1606.08415. */
export const gelu = (x: Tensor): Tensor => apply(op, [x], []);
