import { defineElementwise, operand, unbroadcast } from "../elementwise.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const op = defineElementwise({
  name: "minimum",
  inputs: 2,
  formula: ([a, b]) => a.min(b),
  integers: true,
  backward(dy, [a, b]) {
    const first = apply(chooses, [a, b], []);
    return [unbroadcast(dy.mul(first), a), unbroadcast(dy.sub(dy.mul(first)), b)];
  },
  samples: [
    {
      ins: [
        [2, 5],
        [2, 5],
      ],
    },
    { ins: [[4, 3], [3]] },
  ],
});

const chooses = defineElementwise({
  name: "minimumSlope",
  inputs: 2,
  formula: ([a, b]) => b.lessThan(a, 0, 1),
  backward: () => [null, null],
  samples: [
    {
      ins: [
        [2, 5],
        [2, 5],
      ],
    },
  ],
});

/** The smaller of a and b, element by element; b may be a number. On ties the gradient goes to a. */
export const minimum = (a: Tensor, b: Tensor | number): Tensor =>
  apply(op, [a, operand(b, a, "minimum")], []);
