import { checkInteger } from "../check.ts";
import { checkDType, type DType } from "../dtype.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { checkIds } from "./gather.ts";

interface Classes {
  readonly classes: number;
  readonly dtype: DType;
}

const op = defineOp<Classes>({
  name: "oneHot",
  shape: ([ids], { classes }) => [...ids.shape, classes],
  dtype([ids], { dtype }) {
    checkIds(ids, "oneHot");
    return dtype;
  },
  formula([ids], { classes }) {
    const list = ids.as([ids.size]);
    return each([ids.size, classes], (i, c) => list.index(i).equals(c, 1, 0));
  },
  check([ids], { classes }) {
    for (const id of ids.data)
      if (id < 0 || id >= classes) throw new Error(`oneHot: ${id} is none of ${classes} classes`);
  },
  backward: () => [null],
  samples: [{ ...sample([2, 3]), attrs: { classes: 4, dtype: "float32" }, indices: { 0: 4 } }],
});

/** int32 class numbers (…) → (…, classes): 1 at the number, 0 elsewhere. float32 unless given. */
export function oneHot(ids: Tensor, classes: number, dtype?: DType): Tensor {
  checkInteger(classes, 1, "oneHot", "classes");
  const attrs = { classes, dtype: dtype ?? "float32" };
  checkDType(attrs.dtype, "oneHot");
  return apply(op, [ids], attrs);
}
