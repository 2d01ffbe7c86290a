import { refuse } from "../check.ts";
import type { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, sum as total } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { broadcastShapes, checkShape, resolveAxis, type Shape, sameShape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<Shape>({
  name: "sumTo",
  shape([x], to) {
    const fits = to.length <= x.shape.length && sameShape(broadcastShapes(x.shape, to, "sumTo"), x.shape);
    if (!fits) throw new Error(`sumTo: ${showShape(x.shape)} cannot be summed to ${showShape(to)}`);
    return to;
  },
  formula([x], to) {
    // Neighbouring axes that are kept, or that are summed over, are one.
    const runs: { length: number; gone: boolean }[] = [];
    const missing = x.shape.length - to.length;
    x.shape.forEach((length, axis) => {
      if (length === 1) return;
      const gone = axis < missing || to[axis - missing] === 1;
      const last = runs.at(-1);
      if (last?.gone === gone) last.length *= length;
      else runs.push({ length, gone });
    });
    const own = x.as(runs.map(({ length }) => length));
    const kept = runs.filter(({ gone }) => !gone).map(({ length }) => length);
    return each(kept, (...at) => {
      /** Sums over what is gone from run n on; the places in the runs before are known. */
      const from = (places: readonly Index[], left: readonly Index[]): Expr => {
        const run = runs[places.length];
        if (!run) return own.at(...places);
        if (!run.gone) return from([...places, left[0]], left.slice(1));
        return total(run.length, (j) => from([...places, j], left));
      };
      return from([], at);
    });
  },
  integers: true,
  backward: (dy, [x]) => [dy.broadcastTo(x.shape)],
  samples: [
    { ...sample([2, 3, 4]), attrs: [3, 1] },
    { ...sample([2, 3, 4]), attrs: [] },
    { ...sample([5, 3]), attrs: [5, 1] },
    { ...sample([5, 3]), attrs: [3] },
    { ...sample([2, 3, 4]), attrs: [2, 1, 4] },
  ],
});

/** Sums over the axes along which a tensor of shape `to` would be repeated to x's shape: the gradient of broadcasting. */
export function sumTo(x: Tensor, to: Shape): Tensor {
  checkShape(to, "sumTo");
  return sameShape(x.shape, to) ? x : apply(op, [x], [...to]);
}

/** Sum over the given axes (all of them unless given). They disappear unless `keepDims`. */
export function sum(x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor {
  return sumOver(x, axes, keepDims, "sum");
}

/** Mean over the given axes (all of them unless given). */
export function mean(x: Tensor, axes?: readonly number[], keepDims?: boolean): Tensor {
  if (x.dtype === "int32")
    throw new Error(`mean: expected float32 or float64, got int32 ${showShape(x.shape)}`);
  const total = sumOver(x, axes, keepDims, "mean");
  return total.scale(total.size / x.size);
}

function sumOver(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, i) => i),
  keepDims: boolean | undefined,
  who: string,
): Tensor {
  if (!Array.isArray(axes)) refuse(who, "axes such as [0, 1]", axes);
  if (keepDims !== undefined && typeof keepDims !== "boolean")
    refuse(who, "keepDims to be true or false", keepDims);
  const gone = new Set(axes.map((axis) => resolveAxis(axis, x.shape.length, who)));
  if (gone.size < axes.length) refuse(who, "different axes", axes);
  const kept = sumTo(
    x,
    x.shape.map((length, axis) => (gone.has(axis) ? 1 : length)),
  );
  return keepDims ? kept : kept.reshape(x.shape.filter((_, axis) => !gone.has(axis)));
}
