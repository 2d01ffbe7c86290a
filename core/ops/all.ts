import { Expr } from "../formula/expr.ts";
import { sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<Shape>({
  name: "all",
  shape: (_ins, to) => to,
  formula: ([x], to) =>
    reducing(x, to, (over) =>
      Expr.constant(0).lessThan(
        over(sum, (e) => e.equals(0, 1, 0)),
        0,
        1,
      ),
    ),
  integers: true,
  backward: () => [null],
  samples: [{ ...sample([2, 3]), attrs: [2, 1] }],
});

/** 1 where no number along the axes (all of them unless given) is 0, else 0. */
export const all = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "all", (to) => apply(op, [x], to));
