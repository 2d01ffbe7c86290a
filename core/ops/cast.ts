import { checkDType, type DType } from "../dtype.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<DType>({
  name: "cast",
  shape: ([x]) => x.shape,
  dtype: (_ins, to) => to,
  formula: ([x], to) =>
    each(x.shape, (...at) => {
      const value = x.at(...at);
      if (to !== "int32") return value;
      return value.lessThan(0, value.neg().floor().neg(), value.floor());
    }),
  backward: (dy, [x]) => [x.dtype === "int32" ? null : dy.cast(x.dtype)],
  samples: [{ ...sample([2, 3]), attrs: "float32", indices: { 0: 9 } }],
});

/**
 * The same numbers rounded to another dtype; x itself where it has that already. For int32, digits behind the point
 * are cut off, and numbers that do not fit are refused. `x.to("float64")` is this.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkDType(dtype, "cast");
  return x.dtype === dtype ? x : apply(op, [x], dtype);
}
