import { checkInteger } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

interface Margins {
  readonly axis: number;
  readonly before: number;
  readonly after: number;
}

export const op = defineOp<Margins>({
  name: "pad",
  shape([x], { axis, before, after }) {
    return x.shape.with(axis, before + x.shape[axis] + after);
  },
  formula([x], { axis, before, after }) {
    const own = x.along(axis);
    const [outer, length, inner] = own.shape;
    return each([outer, before + length + after, inner], (o, i, k) => {
      const at = i.sub(before);
      return at.within(length, own.at(o, at, k), 0);
    });
  },
  integers: true,
  backward: (dy, [x], _out, { axis, before }) => [dy.slice(axis, before, before + x.shape[axis])],
  samples: [
    { ...sample([2, 3, 2]), attrs: { axis: 1, before: 2, after: 1 } },
    { ...sample([4]), attrs: { axis: 0, before: 0, after: 3 } },
  ],
});

/** Puts zeros before and after along one axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  checkInteger(before, 0, "pad", "zeros before");
  checkInteger(after, 0, "pad", "zeros after");
  return apply(op, [x], { axis: resolveAxis(axis, x.shape.length, "pad"), before, after });
}
