import { refuse } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "hardtanh",
  inputs: 1,
  params: 2,
  formula: ([x], [low, high]) => high.min(low.max(x)),
  integers: true,
  samples: [
    { ...sample([2, 5]), attrs: [-2, 2] },
    { ...sample([6]), attrs: [-0.5, 0.5], range: [0.6, 1] },
  ],
});

/** x limited to [low, high], [−1, 1] unless given: as `clamp`, but the gradient is 0 at the bounds too. */
export function hardtanh(x: Tensor, low?: number, high?: number): Tensor {
  const bounds = [low ?? -1, high ?? 1] as const;
  if (!(bounds[0] <= bounds[1])) refuse("hardtanh", "bounds low ≤ high", bounds);
  return apply(op, [x], bounds);
}
