import { checkInteger } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

interface Turn {
  readonly axis: number;
  readonly shift: number;
}

const op = defineOp<Turn>({
  name: "roll",
  shape: ([x]) => x.shape,
  formula([x], { axis, shift }) {
    const own = x.along(axis);
    return each(own.shape, (o, i, k) => own.at(o, i.sub(shift).mod(own.shape[1]), k));
  },
  integers: true,
  backward: (dy, _ins, _out, { axis, shift }) => [dy.roll(-shift, axis)],
  samples: [
    { ...sample([2, 3, 2]), attrs: { axis: 1, shift: 1 } },
    { ...sample([5]), attrs: { axis: 0, shift: -7 } },
  ],
});

/** Moved along one axis by `shift` places; what leaves at the end comes in at the start. */
export function roll(x: Tensor, shift: number, axis: number): Tensor {
  checkInteger(shift, -(2 ** 31), "roll", "shift", 2 ** 31);
  return apply(op, [x], { axis: resolveAxis(axis, x.shape.length, "roll"), shift });
}
