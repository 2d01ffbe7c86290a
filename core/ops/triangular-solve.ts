import { checkFlags, checkOptions } from "../check.ts";
import { apply, defineOp } from "../op.ts";
import { showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

/** Which triangle of the matrix counts; with `unit` its diagonal counts as ones. */
export interface Triangle {
  readonly lower: boolean;
  readonly unit: boolean;
}

export const op = defineOp<Triangle>({
  name: "triangularSolve",
  shape([a, b]) {
    const { N } = b.dims("N M", "triangularSolve");
    if (a.shape.length !== 2 || a.shape[0] !== N || a.shape[1] !== N) {
      throw new Error(`triangularSolve: expected a matrix (${N}, ${N}), got ${showShape(a.shape)}`);
    }
    return b.shape;
  },
  kernels: {
    js(out, [a, b], { lower, unit }) {
      const [N, M] = b.shape;
      const x = Float64Array.from(b.data);
      const A = a.data;
      for (let n = 0; n < N; n++) {
        const i = lower ? n : N - 1 - n;
        const [from, to] = lower ? [0, i] : [i + 1, N];
        for (let k = from; k < to; k++) {
          const factor = A[i * N + k];
          for (let j = 0; j < M; j++) x[i * M + j] -= factor * x[k * M + j];
        }
        if (!unit) for (let j = 0; j < M; j++) x[i * M + j] /= A[i * N + i];
      }
      out.data.set(x);
    },
  },
  backward(dy, [a], x, { lower, unit }, wants) {
    const db = a.t().triangularSolve(dy, { lower: !lower, unit });
    const da = (): Tensor => db.matmul(x, { transposeB: true }).neg().mul(triangleMask(a, { lower, unit }));
    return [wants[0] ? da() : null, db];
  },
  samples: [
    {
      ins: [
        [3, 3],
        [3, 2],
      ],
      attrs: { lower: true, unit: false },
      range: [0.5, 1.5],
    },
    {
      ins: [
        [3, 3],
        [3, 2],
      ],
      attrs: { lower: false, unit: false },
      range: [0.5, 1.5],
    },
    {
      ins: [
        [4, 4],
        [4, 1],
      ],
      attrs: { lower: true, unit: true },
    },
    {
      ins: [
        [4, 4],
        [4, 1],
      ],
      attrs: { lower: false, unit: true },
    },
  ],
});

/** Ones where the solver reads the matrix, zeros elsewhere. */
function triangleMask(like: Tensor, { lower, unit }: Triangle): Tensor {
  const N = like.shape[0];
  const mask = Tensor.zeros(like.shape, like.dtype);
  for (let i = 0; i < N; i++)
    for (let j = 0; j < N; j++) {
      const inside = i === j ? !unit : lower === j < i;
      if (inside) mask.data[i * N + j] = 1;
    }
  return mask;
}

/** X with A X = B for a triangular A (N, N) and B (N, M). The other triangle of A is not read. */
export function triangularSolve(a: Tensor, b: Tensor, triangle: Triangle): Tensor {
  checkOptions(triangle, ["lower", "unit"], "triangularSolve");
  checkFlags(triangle, ["lower", "unit"], "triangularSolve");
  return apply(op, [a, b], triangle);
}
