import { max, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<Shape>({
  name: "logSumExp",
  shape: (_ins, to) => to,
  formula: ([x], to) =>
    reducing(x, to, (over) => {
      const most = over(max);
      const offset = most.abs().lessThan(Number.POSITIVE_INFINITY, most, 0); // ∞ − ∞ is no number
      return over(sum, (e) => e.sub(offset).exp())
        .log()
        .add(offset);
    }),
  backward: (dy, [x], y) => [dy.mul(x.sub(y.isFinite().where(y, 0)).exp())], // dy softmax(x)
  samples: [
    { ...sample([2, 3, 4]), attrs: [2, 1, 4], range: [-4, 4] },
    { ...sample([5]), attrs: [] },
  ],
});

/**
 * ln Σ eˣ over the given axes (all of them unless given), without overflow. Where all numbers are −∞ it is −∞, and the
 * gradient 0.
 */
export const logSumExp = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "logSumExp", (to) => apply(op, [x], to));
