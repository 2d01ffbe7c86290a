import { checkFlags, checkOptions } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
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
  // A launch for each row in turn: the row is divided by its diagonal, and taken from all rows that it occurs in.
  formula([a, b], { lower, unit }) {
    const [N] = b.shape;
    let x = b;
    for (let n = 0; n < N; n++) {
      const [before, row] = [x, lower ? n : N - 1 - n];
      x = each(b.shape, (i, j) => {
        const solved = unit ? before.at(row, j) : before.at(row, j).div(a.at(row, row));
        const own = before.at(i, j);
        const rest = own.sub(a.at(i, row).mul(solved));
        const after = lower ? i.lessThan(row, own, rest) : i.lessThan(row, rest, own);
        return i.equals(row, solved, after);
      });
    }
    return x;
  },
  backward(dy, [a], x, { lower, unit }, wants) {
    const db = a.t().triangularSolve(dy, { lower: !lower, unit });
    const da = (): Tensor => db.matmul(x, { transposeB: true }).neg().mul(triangleMask(a, { lower, unit }));
    return [wants[0] ? da() : null, db];
  },
  samples: [
    { ...sample([3, 3], [3, 2]), attrs: { lower: true, unit: false }, range: [0.5, 1.5] },
    { ...sample([3, 3], [3, 2]), attrs: { lower: false, unit: false }, range: [0.5, 1.5] },
    { ...sample([4, 4], [4, 1]), attrs: { lower: true, unit: true } },
    { ...sample([4, 4], [4, 1]), attrs: { lower: false, unit: true } },
  ],
});

/** Ones where the solver reads the matrix, zeros elsewhere. */
function triangleMask(like: Tensor, { lower, unit }: Triangle): Tensor {
  const N = like.shape[0];
  const inside = (i: number, j: number): boolean => (i === j ? !unit : lower === j < i);
  const mask = Array.from({ length: N * N }, (_, at) => Number(inside(Math.floor(at / N), at % N)));
  return Tensor.from(mask, like.shape, like.dtype);
}

/** X with A X = B for a triangular A (N, N) and B (N, M). The other triangle of A is not read. */
export function triangularSolve(a: Tensor, b: Tensor, triangle: Triangle): Tensor {
  checkOptions(triangle, ["lower", "unit"], "triangularSolve");
  checkFlags(triangle, ["lower", "unit"], "triangularSolve");
  return apply(op, [a, b], triangle);
}
