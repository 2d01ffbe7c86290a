import { refuse } from "../check.ts";
import { defineElementwise } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "clamp",
  inputs: 1,
  params: 2,
  formula: ([x], [low, high]) => x.max(low).min(high),
  integers: true,
  backward: (dy, [x], _out, [low, high]) => [dy.mul(inside(x, low, high))],
  samples: [
    { ins: [[2, 5]], attrs: [-2, 2] },
    { ins: [[6]], attrs: [-0.5, 0.5], range: [0.6, 1] },
  ],
});

const within = defineElementwise({
  name: "clampSlope",
  inputs: 1,
  params: 2,
  formula: ([x], [low, high]) => x.lessThan(low, 0, high.lessThan(x, 0, 1)),
  backward: () => [null],
  samples: [{ ins: [[2, 5]], attrs: [-2, 2] }],
});

/** 1 where low ≤ x ≤ high, else 0. */
const inside = (x: Tensor, low: number, high: number): Tensor => apply(within, [x], [low, high]);

/** x limited to [low, high]; the gradient is zero outside. */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  if (!(low <= high)) refuse("clamp", "bounds low ≤ high", [low, high]);
  return apply(op, [x], [low, high]);
}
