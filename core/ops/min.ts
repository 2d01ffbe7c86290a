import { max as largest } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { checkSome, overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { shared } from "./max.ts";

const op = defineOp<Shape>({
  name: "min",
  shape([x], to) {
    checkSome(x, to, "min");
    return to;
  },
  formula: ([x], to) => reducing(x, to, (over) => over(largest, (e) => e.neg()).neg()),
  integers: true,
  backward: (dy, [x], y) => [shared(dy, x, y)],
  samples: [{ ...sample([2, 3, 4]), attrs: [1, 3, 1] }],
});

/** The smallest over the given axes (all of them unless given), as `max` is the largest. */
export const min = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "min", (to) => apply(op, [x], to));
