import type { Expr } from "../formula/expr.ts";
import { each, max, type Operand } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import { checkSome } from "../reduction.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<number>({
  name: "argmax",
  shape([x], axis) {
    const to = x.shape.with(axis, 1);
    checkSome(x, to, "argmax");
    return to;
  },
  dtype: () => "int32",
  formula: ([x], axis) => firstOfLargest(x, axis, (e) => e),
  backward: () => [null],
  samples: [
    { ...sample([2, 3, 4]), attrs: 1 },
    { ...sample([5]), attrs: 0 },
  ],
});

/** Along an axis, the first place at which `key` of a number is largest, or NaN. */
export function firstOfLargest(x: Operand, axis: number, key: (e: Expr) => Expr): Operand {
  const own = x.along(axis);
  const [outer, N, inner] = own.shape;
  return each([outer, inner], (o, i) => {
    const most = max(N, (j) => key(own.at(o, j, i)));
    const place = max(N, (j) => {
      const [it, here] = [key(own.at(o, j, i)), j.value().neg()];
      return it.equals(most, here, it.equals(it, Number.NEGATIVE_INFINITY, here));
    });
    return place.neg();
  });
}

/** Calls such an op along an axis or, where none is given, with all numbers in a row. */
export function placeAlong(
  op: Op<number>,
  x: Tensor,
  axis: number | undefined,
  keepDims: boolean | undefined,
): Tensor {
  if (axis === undefined) {
    const place = apply(op, [x.reshape([x.size])], 0);
    return place.reshape(keepDims ? x.shape.map(() => 1) : []);
  }
  const at = resolveAxis(axis, x.shape.length, op.name);
  const places = apply(op, [x], at);
  return keepDims ? places : places.reshape(x.shape.toSpliced(at, 1));
}

/**
 * Where along an axis the largest number stands, as int32: the first if there are several, a NaN if there is one.
 * Without an axis, its place in all numbers in a row.
 */
export const argmax = (x: Tensor, axis?: number, keepDims?: boolean): Tensor =>
  placeAlong(op, x, axis, keepDims);
