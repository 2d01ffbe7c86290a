import { checkInteger } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { resolveAxis, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

export const op = defineOp<Range>({
  name: "slice",
  shape([x], { axis, start, end }) {
    const whole = Number.isInteger(start) && Number.isInteger(end);
    if (!(whole && 0 <= start && start <= end && end <= x.shape[axis])) {
      throw new Error(`slice: [${start}, ${end}) is not inside axis ${axis} of ${showShape(x.shape)}`);
    }
    return x.shape.with(axis, end - start);
  },
  formula([x], { axis, start, end }) {
    const own = x.along(axis);
    const [outer, , inner] = own.shape;
    return each([outer, end - start, inner], (o, i, k) => own.at(o, i.add(start), k));
  },
  integers: true,
  backward: (dy, [x], _out, { axis, start, end }) => [dy.pad(axis, start, x.shape[axis] - end)],
  samples: [
    { ...sample([2, 6, 3]), attrs: { axis: 1, start: 2, end: 5 } },
    { ...sample([7]), attrs: { axis: 0, start: 0, end: 3 } },
  ],
});

/** Entries start ≤ i < end along one axis. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  return apply(op, [x], { axis: resolveAxis(axis, x.shape.length, "slice"), start, end });
}

/** Cuts x into `parts` equal pieces along one axis. Throws if they do not come out equal. */
export function chunk(x: Tensor, parts: number, axis: number): Tensor[] {
  const at = resolveAxis(axis, x.shape.length, "chunk");
  checkInteger(parts, 1, "chunk", "parts");
  const length = x.shape[at] / parts;
  if (!Number.isInteger(length)) {
    throw new Error(`chunk: axis ${at} of ${showShape(x.shape)} does not split into ${parts} equal parts`);
  }
  return Array.from({ length: parts }, (_, i) => slice(x, at, i * length, (i + 1) * length));
}
