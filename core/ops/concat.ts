import { apply, defineOp } from "../op.ts";
import { resolveAxis, sameShape, showShape, sizeOf } from "../shape.ts";
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
  kernels: {
    js(out, ins, axis) {
      const inner = sizeOf(out.shape.slice(axis + 1));
      const stride = out.shape[axis] * inner;
      let column = 0;
      for (const x of ins) {
        const count = x.shape[axis] * inner;
        for (let o = 0, at = 0; at < x.size; o++, at += count) {
          out.data.set(x.data.subarray(at, at + count), o * stride + column);
        }
        column += count;
      }
    },
  },
  integers: true,
  backward(dy, ins, _out, axis) {
    let start = 0;
    return ins.map((x) => dy.slice(axis, start, (start += x.shape[axis])));
  },
  samples: [
    {
      ins: [
        [2, 3, 2],
        [2, 1, 2],
        [2, 2, 2],
      ],
      attrs: 1,
    },
    { ins: [[3], [2]], attrs: 0 },
  ],
});

/** Joins tensors along one axis; their other lengths must agree. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  checkTensors(tensors, "concat");
  if (tensors.length === 0) throw new Error("concat: expected one tensor at least, got none");
  return apply(op, tensors, resolveAxis(axis, tensors[0].shape.length, "concat"));
}
