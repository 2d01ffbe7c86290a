import { checkFlags, checkOptions } from "../check.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface Side {
  readonly lower: boolean;
}

export const op = defineOp<Side>({
  name: "triangle",
  shape([x]) {
    const { N, M } = x.dims("N M", "triangle");
    if (N !== M) throw new Error(`triangle: expected a square matrix, got (${N}, ${M})`);
    return x.shape;
  },
  kernels: {
    js(out, [x], { lower }) {
      const N = x.shape[0];
      out.data.fill(0);
      for (let i = 0; i < N; i++) {
        const [from, to] = lower ? [i * N, i * N + i] : [i * N + i + 1, i * N + N];
        out.data.set(x.data.subarray(from, to), from);
      }
    },
  },
  integers: true,
  backward: (dy, _ins, _out, side) => [triangle(dy, side)],
  samples: [
    { ins: [[4, 4]], attrs: { lower: true } },
    { ins: [[3, 3]], attrs: { lower: false } },
  ],
});

/** The entries below (`lower`) or above the diagonal of a square matrix; zeros elsewhere, on the diagonal too. */
export function triangle(x: Tensor, side: { lower: boolean }): Tensor {
  checkOptions(side, ["lower"], "triangle");
  checkFlags(side, ["lower"], "triangle");
  return apply(op, [x], side);
}
