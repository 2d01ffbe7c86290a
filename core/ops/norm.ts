import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp({
  name: "norm",
  shape: () => [],
  formula([x]) {
    const C = x.shape.at(-1) ?? 1;
    const R = C === 0 ? 0 : x.size / C;
    const rows = x.as([R, C]);
    const squares = each([R], (r) => sum(C, (j) => rows.at(r, j).mul(rows.at(r, j))));
    return each([], () => sum(R, (r) => squares.at(r)).sqrt());
  },
  backward: (dy, [x], y) => [x.mul(dy.div(y))], // d‖x‖ = x · dx / ‖x‖
  samples: [
    { ...sample([2, 5]), range: [0.2, 1] },
    { ...sample([4]), range: [-1, -0.2] },
  ],
});

/** √Σ x² over all elements; without a gradient at 0. */
export const norm = (x: Tensor): Tensor => apply(op, [x], undefined);
