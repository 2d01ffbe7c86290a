import { checkFinite } from "../check.ts";
import { defineElementwiseUpdate } from "../elementwise.ts";
import { update } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwiseUpdate("scaleInPlace", [1, 1], ([x], [factor]) => x.mul(factor));

/** x ← factor · x, in place. */
export function scaleInPlace(x: Tensor, factor: number): void {
  checkFinite(factor, "scaleInPlace", "a factor");
  update(op, [x], [factor]);
}
