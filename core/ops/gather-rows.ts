import { checkInteger } from "../check.ts";
import type { TensorView } from "../device.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { type Shape, showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

function checkIds(ids: TensorView, rows: number, who: string): void {
  for (const id of ids.data) {
    if (id < 0 || id >= rows) throw new Error(`${who}: row ${id} does not exist in a table of ${rows} rows`);
  }
}

/** No row is excluded from the gradient. */
const NONE = -1;

export const op = defineOp<number>({
  name: "gatherRows",
  shape([table, ids]) {
    table.dims("rows C", "gatherRows");
    return [...ids.shape, table.shape[1]];
  },
  dtype([table, ids]) {
    if (ids.dtype !== "int32")
      throw new Error(`gatherRows: expected int32 row numbers, got ${ids.dtype} ${showShape(ids.shape)}`);
    return table.dtype;
  },
  formula([table, ids]) {
    const [list, C] = [ids.as([ids.size]), table.shape[1]];
    return each([ids.size, C], (i, c) => table.at(list.index(i), c));
  },
  check: ([table, ids]) => checkIds(ids, table.shape[0], "gatherRows"),
  backward: (dy, [table, ids], _out, padding) => [
    apply(scatter, [dy, ids], { count: table.shape[0], padding }),
    null,
  ],
  samples: [
    { ...sample([6, 3], [4]), attrs: NONE, indices: { 1: 6 } },
    { ...sample([5, 2], [2, 3]), attrs: NONE, indices: { 1: 5 } },
  ],
});

interface Scatter {
  readonly count: number;
  readonly padding: number;
}

export const scatter = defineOp<Scatter>({
  name: "scatterRows",
  shape: ([rows], { count }): Shape => [count, rows.shape.at(-1) as number],
  dtype: ([rows]) => rows.dtype,
  // Each row of the result looks for its number among the ids: no two places write to one.
  formula([rows, ids], { count, padding }) {
    const [list, from] = [ids.as([ids.size]), rows.rows()];
    return each([count, from.shape[1]], (row, c) => {
      const total = sum(ids.size, (i) => list.index(i).equals(row, from.at(i, c), 0));
      return padding === NONE ? total : row.equals(padding, 0, total);
    });
  },
  check: ([, ids], { count }) => checkIds(ids, count, "scatterRows"),
  backward(dy, [, ids], _out, { count, padding }) {
    if (padding === NONE) return [dy.gatherRows(ids), null];
    const counted = Array.from({ length: count }, (_, row) => (row === padding ? 0 : 1));
    return [dy.mul(Tensor.from(counted, [count, 1], dy.dtype)).gatherRows(ids), null];
  },
  samples: [
    { ...sample([4, 3], [4]), attrs: { count: 6, padding: NONE }, indices: { 1: 6 } },
    { ...sample([9, 2], [9]), attrs: { count: 3, padding: 1 }, indices: { 1: 3 } },
  ],
});

/**
 * Rows of a table (rows, C) by int32 row numbers (…) → (…, C). Throws for a number outside the table.
 * The row `padding` is read like any other but gets no gradient.
 */
export function gatherRows(table: Tensor, ids: Tensor, padding?: number): Tensor {
  if (padding !== undefined) checkInteger(padding, 0, "gatherRows", "padding", table.shape[0] - 1);
  return apply(op, [table, ids], padding ?? NONE);
}
