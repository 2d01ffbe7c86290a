import { checkFlags } from "../check.ts";
import type { Expr } from "../formula/expr.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface Order {
  readonly axis: number;
  readonly descending: boolean;
}

/** a < b ? yes : no, where NaN is larger than all else. */
const less = (a: Expr, b: Expr, yes: Expr | number, no: Expr | number): Expr =>
  a.lessThan(b, yes, b.equals(b, no, a.equals(a, yes, no)));

export const op = defineOp<Order>({
  name: "argsort",
  shape: ([x]) => x.shape,
  dtype: () => "int32",
  formula([x], { axis, descending }) {
    const own = x.along(axis);
    const [outer, N, inner] = own.shape;
    // The place that each will have: how many come before it. Of equal ones, those come first that stand first.
    const places = each([outer, N, inner], (o, i, k) =>
      sum(N, (j) => {
        const [it, other] = [own.at(o, i, k), own.at(o, j, k)];
        const [a, b] = descending ? [it, other] : [other, it];
        return less(a, b, 1, less(b, a, 0, j.lessThan(i, 1, 0)));
      }),
    );
    return each([outer, N, inner], (o, place, k) =>
      sum(N, (i) => places.at(o, i, k).equals(place.value(), i.value(), 0)),
    );
  },
  backward: () => [null],
  samples: [
    { ...sample([2, 5, 2]), attrs: { axis: 1, descending: false } },
    { ...sample([6]), attrs: { axis: 0, descending: true } },
  ],
});

/**
 * Where the numbers along an axis (the last unless given) stand that come first, second, … in ascending order, or
 * descending, as int32. Equal ones keep their order; NaN is larger than all else.
 */
export function argsort(x: Tensor, axis?: number, descending?: boolean): Tensor {
  const order = {
    axis: resolveAxis(axis ?? -1, x.shape.length, "argsort"),
    descending: descending ?? false,
  };
  checkFlags(order, ["descending"], "argsort");
  return apply(op, [x], order);
}
