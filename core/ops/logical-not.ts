import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "logicalNot",
  inputs: 1,
  formula: ([x]) => x.equals(0, 1, 0),
  integers: true,
  samples: [sample([2, 5])],
});

/** 1 where x is 0, else 0. */
export const logicalNot = (x: Tensor): Tensor => apply(op, [x], []);
