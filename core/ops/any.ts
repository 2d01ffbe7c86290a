import { Expr } from "../formula/expr.ts";
import { sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<Shape>({
  name: "any",
  shape: (_ins, to) => to,
  formula: ([x], to) =>
    reducing(x, to, (over) =>
      Expr.constant(0).lessThan(
        over(sum, (e) => e.equals(0, 0, 1)),
        1,
        0,
      ),
    ),
  integers: true,
  backward: () => [null],
  samples: [{ ...sample([2, 3]), attrs: [2, 1] }],
});

/** 1 where a number along the axes (all of them unless given) is not 0, else 0. */
export const any = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "any", (to) => apply(op, [x], to));
