import { refuse } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "clamp",
  inputs: 1,
  params: 2,
  formula: ([x], [low, high]) => x.max(low).min(high),
  integers: true,
  samples: [
    { ...sample([2, 5]), attrs: [-2, 2] },
    { ...sample([6]), attrs: [-0.5, 0.5], range: [0.6, 1] },
  ],
});

/** x limited to [low, high]; the gradient is zero outside. */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  if (!(low <= high)) refuse("clamp", "bounds low ≤ high", [low, high]);
  return apply(op, [x], [low, high]);
}
