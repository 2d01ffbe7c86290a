import { apply, defineOp, type Op } from "../op.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp({
  name: "softmax",
  shape: ([x]) => x.shape,
  kernels: {
    js(out, [x]) {
      const N = x.shape.at(-1) ?? 1;
      const e = new Float64Array(N);
      const [X, Y] = [x.data, out.data];
      for (let row = 0; row < x.size; row += N) {
        let max = -Infinity;
        let sum = 0;
        for (let i = 0; i < N; i++) max = Math.max(max, X[row + i]);
        for (let i = 0; i < N; i++) sum += e[i] = Math.exp(X[row + i] - max);
        for (let i = 0; i < N; i++) Y[row + i] = e[i] / sum;
      }
    },
  },
  backward: (dy, _ins, y) => [slope(dy, y)],
  samples: [{ ins: [[2, 5]] }, { ins: [[2, 3, 4]], range: [-4, 4] }],
});

/** The gradient for softmax's input from the one for its output y: dx = y ⊙ (dy − Σ dy ⊙ y). */
export const slopeOp: Op<void> = defineOp({
  name: "softmaxSlope",
  shape: ([dy]) => dy.shape,
  kernels: {
    js(out, [dy, y]) {
      const N = y.shape.at(-1) ?? 1;
      const [D, Y, X] = [dy.data, y.data, out.data];
      for (let row = 0; row < y.size; row += N) {
        let dot = 0;
        for (let i = 0; i < N; i++) dot += D[row + i] * Y[row + i];
        for (let i = 0; i < N; i++) X[row + i] = Y[row + i] * (D[row + i] - dot);
      }
    },
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
  samples: [
    {
      ins: [
        [2, 5],
        [2, 5],
      ],
    },
    {
      ins: [
        [2, 3, 4],
        [2, 3, 4],
      ],
    },
  ],
});

const slope = (dy: Tensor, y: Tensor): Tensor => apply(slopeOp, [dy, y], undefined);

/** Softmax over the last axis: rows are positive and sum to 1. */
export const softmax = (x: Tensor): Tensor => apply(op, [x], undefined);
