import { defineElementwiseUpdate } from "../elementwise.ts";
import { update } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwiseUpdate("addInto", [2, 0], ([sum, x]) => sum.add(x));

/** sum ← sum + x, in place. */
export const addInto = (sum: Tensor, x: Tensor): void => update(op, [sum, x], []);
