import { defineElementwise } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "lessThan",
  inputs: 2,
  formula: ([a, b]) => a.lessThan(b, 1, 0),
  backward: () => [null, null],
  samples: [{ ins: [[2, 5], [5]] }],
});

/** 1 where a < b, else 0 (also where either is NaN). */
export const lessThan = (a: Tensor, b: Tensor): Tensor => apply(op, [a, b], []);
