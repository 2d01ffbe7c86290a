import { max as largest } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { checkSome, overAxes, reducing } from "../reduction.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<Shape>({
  name: "max",
  shape([x], to) {
    checkSome(x, to, "max");
    return to;
  },
  formula: ([x], to) => reducing(x, to, (over) => over(largest)),
  integers: true,
  backward: (dy, [x], y) => [shared(dy, x, y)],
  samples: [
    { ...sample([2, 3, 4]), attrs: [2, 1, 4] },
    { ...sample([5]), attrs: [] },
  ],
});

/** What each of the numbers gets of the gradient of the extreme `y` among them: those equal to it share it evenly. */
export function shared(dy: Tensor, x: Tensor, y: Tensor): Tensor {
  const hits = x.eq(y);
  return hits.mul(dy.div(hits.sumTo(y.shape)));
}

/**
 * The largest over the given axes (all of them unless given); NaN where one is NaN. Several that are largest share the
 * gradient evenly, as in torch.amax.
 */
export const max = (x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor =>
  overAxes(x, axes, keepDims, "max", (to) => apply(op, [x], to));
