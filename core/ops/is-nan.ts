import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "isNaN",
  inputs: 1,
  formula: ([x]) => x.equals(x, 0, 1),
  integers: true,
  samples: [sample([2, 5])],
});

/** 1 where x is NaN, else 0. A GPU may take NaN for any number. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name of the method
export const isNaN = (x: Tensor): Tensor => apply(op, [x], []);
