import { sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "norm",
  shape: (_ins, to) => to,
  formula([x], to) {
    // Rows first: shorter sums lose fewer digits.
    const rows = x.shape.map((length, axis) => (axis < x.shape.length - 1 ? length : (to.at(-1) ?? 1)));
    const squares = reducing(x, rows, (over) => over(sum, (e) => e.mul(e)));
    return reducing(squares.as(rows), to, (over) => over(sum).sqrt());
  },
  backward: (dy, [x], y) => [x.mul(dy.div(y.add(y.eq(0))))], // d‖x‖ = x · dx / ‖x‖
  samples: [
    { ...sample([2, 5]), attrs: [1, 1], range: [0.2, 1] },
    { ...sample([4]), attrs: [], range: [-1, -0.2] },
    { ...sample([2, 3, 2]), attrs: [2, 1, 2], range: [0.2, 1] },
  ],
});

/** √Σ x² over the given axes (all of them unless given); its gradient at 0 is 0. */
export const norm = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "norm", (to) => apply(op, [x], to));
