/** Reductions over axes: how callers name the axes, and what one element of the result is. */
import { refuse } from "./check.ts";
import type { Expr } from "./formula/expr.ts";
import type { Index } from "./formula/indices.ts";
import { each, type Operand } from "./formula/launch.ts";
import { resolveAxis, type Shape, showShape, sizeOf } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** Takes all numbers that belong to one element together, by `sum` or `max`: them, or what `of` makes of each. */
type Over = (reduce: (length: number, of: (j: Index) => Expr) => Expr, of?: (x: Expr) => Expr) => Expr;

/**
 * A result of shape `to`: that of x, but for some axes that have length 1 in it, or are left out at the front. Numbers
 * of x along these axes belong to one element, and `element` says what is made of them.
 */
export function reducing(x: Operand, to: Shape, element: (over: Over) => Expr): Operand {
  // Neighbouring axes that are kept, or that are gone, are one.
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
  return each(kept, (...at) =>
    element((reduce, of = (e) => e) => {
      /** Reduces over what is gone from run n on; the places in the runs before are known. */
      const from = (places: readonly Index[], left: readonly Index[]): Expr => {
        const run = runs[places.length];
        if (!run) return of(own.at(...places));
        if (!run.gone) return from([...places, left[0]], left.slice(1));
        return reduce(run.length, (j) => from([...places, j], left));
      };
      return from([], at);
    }),
  );
}

/**
 * Reduces x over the axes to a shape in which they have length 1, or over all of them to a scalar. They go unless
 * `keepDims`.
 */
export function overAxes(
  x: Tensor,
  given: readonly number[] | undefined,
  keepDims: boolean | undefined,
  who: string,
  reduce: (to: Shape) => Tensor,
): Tensor {
  if (keepDims !== undefined && typeof keepDims !== "boolean")
    refuse(who, "keepDims to be true or false", keepDims);
  if (given === undefined && !keepDims) return reduce([]);
  const axes = given === undefined ? x.shape.map((_, i) => i) : given;
  if (!Array.isArray(axes)) refuse(who, "axes such as [0, 1]", axes);
  const gone = new Set(axes.map((axis) => resolveAxis(axis, x.shape.length, who)));
  if (gone.size < axes.length) refuse(who, "different axes", axes);
  const kept = reduce(x.shape.map((length, axis) => (gone.has(axis) ? 1 : length)));
  return keepDims ? kept : kept.reshape(x.shape.filter((_, axis) => !gone.has(axis)));
}

/** Throws for reductions that mean nothing of no numbers. */
export function checkSome(x: Tensor, to: Shape, who: string): void {
  if (x.size === 0 && sizeOf(to) > 0)
    throw new Error(`${who}: expected numbers along the axes, got none in ${showShape(x.shape)}`);
}
