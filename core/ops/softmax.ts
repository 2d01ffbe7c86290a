import { each, max, sum } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp({
  name: "softmax",
  shape: ([x]) => x.shape,
  formula([x]) {
    const rows = x.rows();
    const [, N] = rows.shape;
    // A result of its own, for an exponential is computed once, and read in the sum and as an element.
    const e = each(rows.shape, (r, c) =>
      rows
        .at(r, c)
        .sub(max(N, (j) => rows.at(r, j)))
        .exp(),
    );
    return each(rows.shape, (r, c) => e.at(r, c).div(sum(N, (j) => e.at(r, j))));
  },
  backward: (dy, _ins, y) => [slope(dy, y)],
  samples: [sample([2, 5]), { ...sample([2, 3, 4]), range: [-4, 4] }],
});

/** The gradient for softmax's input from the one for its output y: dx = y ⊙ (dy − Σ dy ⊙ y). */
export const slopeOp: Op<void> = defineOp({
  name: "softmaxSlope",
  shape: ([dy]) => dy.shape,
  formula(operands) {
    const [dy, y] = operands.map((x) => x.rows());
    const [, N] = y.shape;
    return each(y.shape, (r, c) => {
      const dot = sum(N, (j) => dy.at(r, j).mul(y.at(r, j)));
      return y.at(r, c).mul(dy.at(r, c).sub(dot));
    });
  },
  backward(r, [dy, y], _out, _attrs, wants) {
    const dot = (a: Tensor, b: Tensor): Tensor => a.mul(b).sum([-1], true);
    return [
      wants[0] ? slope(r, y) : null, // linear and symmetric in dy
      wants[1]
        ? r
            .mul(dy)
            .sub(r.mul(dot(dy, y)))
            .sub(dy.mul(dot(r, y)))
        : null,
    ];
  },
  samples: [sample([2, 5], [2, 5]), sample([2, 3, 4], [2, 3, 4])],
});

const slope = (dy: Tensor, y: Tensor): Tensor => apply(slopeOp, [dy, y], undefined);

/** Softmax over the last axis: rows are positive and sum to 1. */
export const softmax = (x: Tensor): Tensor => apply(op, [x], undefined);
