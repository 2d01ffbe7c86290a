import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "isFinite",
  inputs: 1,
  formula: ([x]) => x.abs().lessThan(Infinity, 1, 0),
  integers: true,
  samples: [sample([2, 5])],
});

/** 1 where x is neither infinite nor NaN, else 0. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name of the method
export const isFinite = (x: Tensor): Tensor => apply(op, [x], []);
