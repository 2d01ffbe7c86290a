import type { Expr } from "../formula/expr.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis, sameShape, showShape } from "../shape.ts";
import { checkTensors, type Tensor } from "../tensor.ts";

export const op = defineOp<number>({
  name: "concat",
  shape(ins, axis) {
    for (const x of ins) {
      if (
        x.shape.length !== ins[0].shape.length ||
        !sameShape(x.shape.with(axis, 0), ins[0].shape.with(axis, 0))
      ) {
        throw new Error(
          `concat: shapes ${ins.map((y) => showShape(y.shape)).join(", ")} differ beside axis ${axis}`,
        );
      }
    }
    return ins[0].shape.with(
      axis,
      ins.reduce((total, x) => total + x.shape[axis], 0),
    );
  },
  formula(operands, axis) {
    const parts = operands.map((x) => x.along(axis));
    const [outer, , inner] = parts[0].shape;
    const total = parts.reduce((sum, part) => sum + part.shape[1], 0);
    return each([outer, total, inner], (o, i, k) => {
      /** What stands at place i, which is not in the parts before part n; these end at `start`. */
      const from = (n: number, start: number): Expr => {
        const end = start + parts[n].shape[1];
        const own = parts[n].at(o, i.sub(start), k);
        return n === parts.length - 1 ? own : i.lessThan(end, own, from(n + 1, end));
      };
      return from(0, 0);
    });
  },
  integers: true,
  backward(dy, ins, _out, axis) {
    let start = 0;
    return ins.map((x) => dy.slice(axis, start, (start += x.shape[axis])));
  },
  samples: [
    { ...sample([2, 3, 2], [2, 1, 2], [2, 2, 2]), attrs: 1 },
    { ...sample([3], [2]), attrs: 0 },
  ],
});

/** Joins tensors along one axis; their other lengths must agree. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  checkTensors(tensors, "concat");
  if (tensors.length === 0) throw new Error("concat: expected one tensor at least, got none");
  return apply(op, tensors, resolveAxis(axis, tensors[0].shape.length, "concat"));
}
