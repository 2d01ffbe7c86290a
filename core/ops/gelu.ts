import { defineElementwise } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "gelu",
  inputs: 1,
  formula: ([x]) => x.gelu(),
  backward: (dy, [x]) => [slope(dy, x)],
  samples: [{ ins: [[2, 5]], range: [-3, 3] }],
});

const slopeOp = defineElementwise({
  name: "geluSlope",
  inputs: 2,
  formula: ([dy, x]) => dy.mul(x.geluSlope()),
  backward(r, [dy, x], _out, _attrs, wants) {
    // ∂/∂x = dy φ(x) (2 − x²)
    const dx = (): Tensor => {
      const square = x.square();
      const density = square
        .scale(-0.5)
        .exp()
        .scale(1 / Math.sqrt(2 * Math.PI));
      return r.mul(dy).mul(density.mul(square.neg().shift(2)));
    };
    return [wants[0] ? slope(r, x) : null, wants[1] ? dx() : null];
  },
  samples: [
    {
      ins: [
        [2, 5],
        [2, 5],
      ],
      range: [-3, 3],
    },
  ],
});

/** The gradient for GELU's input. */
const slope = (dy: Tensor, x: Tensor): Tensor => apply(slopeOp, [dy, x], []);

/** x Φ(x) with the normal distribution function Φ: the exact (erf) form of arXiv:1606.08415. */
export const gelu = (x: Tensor): Tensor => apply(op, [x], []);
