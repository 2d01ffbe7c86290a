import { checkFlags, checkOptions } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
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
  formula: ([x], { lower }) =>
    each(x.shape, (i, j) => (lower ? j.lessThan(i, x.at(i, j), 0) : i.lessThan(j, x.at(i, j), 0))),
  integers: true,
  backward: (dy, _ins, _out, side) => [triangle(dy, side)],
  samples: [
    { ...sample([4, 4]), attrs: { lower: true } },
    { ...sample([3, 3]), attrs: { lower: false } },
  ],
});

/** The entries below (`lower`) or above the diagonal of a square matrix; zeros elsewhere, on the diagonal too. */
export function triangle(x: Tensor, side: { lower: boolean }): Tensor {
  checkOptions(side, ["lower"], "triangle");
  checkFlags(side, ["lower"], "triangle");
  return apply(op, [x], side);
}
