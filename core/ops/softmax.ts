import { softmaxWasm } from "../kernels/wasm/softmax.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp({
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
    wasm: (out, [x]) => softmaxWasm(out, x),
  },
  backward(dy, _ins, y) {
    // dx = y ⊙ (dy − Σ dy ⊙ y)
    return [dy.sub(dy.mul(y).sum([-1], true)).mul(y)];
  },
  samples: [{ ins: [[2, 5]] }, { ins: [[2, 3, 4]], range: [-4, 4] }],
});

/** Softmax over the last axis: rows are positive and sum to 1. */
export const softmax = (x: Tensor): Tensor => apply(op, [x], undefined);
