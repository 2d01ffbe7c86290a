import { checkFinite } from "../check.ts";
import { defineElementwiseUpdate } from "../elementwise.ts";
import { update } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwiseUpdate("moveToward", [2, 1], ([average, x], [share]) =>
  average.sub(average.sub(x).mul(share)),
);

/** average ← average − share · (average − x), in place: a step of an exponential moving average. */
export function moveToward(average: Tensor, x: Tensor, share: number): void {
  checkFinite(share, "moveToward", "a share");
  update(op, [average, x], [share]);
}
