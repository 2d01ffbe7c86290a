import { defineElementwise } from "../elementwise.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "round",
  inputs: 1,
  formula([x]) {
    const below = x.floor();
    const above = below.add(1);
    const even = below.mul(0.5).floor().mul(2).equals(below, below, above);
    const rest = x.sub(below);
    return rest.lessThan(0.5, below, rest.equals(0.5, even, above));
  },
  integers: true,
  samples: [{ ...sample([2, 5]), range: [0.6, 1.4] }],
});

/** The nearest integer, of two the even one: 0.5 → 0, 1.5 → 2, as in NumPy and PyTorch. It has no gradient. */
export const round = (x: Tensor): Tensor => apply(op, [x], []);
