import { gatherRowsWasm } from "../kernels/wasm/gather.ts";
import { apply, defineOp } from "../op.ts";
import { type Shape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

function checkIds(ids: Tensor, rows: number, who: string): void {
  if (ids.dtype !== "int32")
    throw new Error(`${who}: expected int32 row numbers, got ${ids.dtype} ${showShape(ids.shape)}`);
  for (const id of ids.data) {
    if (id < 0 || id >= rows) throw new Error(`${who}: row ${id} does not exist in a table of ${rows} rows`);
  }
}

const op = defineOp({
  name: "gatherRows",
  shape([table, ids]) {
    table.dims("rows C", "gatherRows");
    return [...ids.shape, table.shape[1]];
  },
  dtype: ([table]) => table.dtype,
  kernels: {
    js(out, [table, ids]) {
      const C = table.shape[1];
      checkIds(ids, table.shape[0], "gatherRows");
      ids.data.forEach((id, i) => {
        out.data.set(table.data.subarray(id * C, (id + 1) * C), i * C);
      });
    },
    wasm(out, [table, ids]) {
      checkIds(ids, table.shape[0], "gatherRows");
      return gatherRowsWasm(out, table, ids);
    },
  },
  backward: (dy, [table, ids]) => [apply(scatter, [dy, ids], table.shape[0]), null],
  samples: [
    { ins: [[6, 3], [4]], indices: { 1: 6 } },
    {
      ins: [
        [5, 2],
        [2, 3],
      ],
      indices: { 1: 5 },
    },
  ],
});

const scatter = defineOp<number>({
  name: "scatterRows",
  shape: ([rows], count): Shape => [count, rows.shape.at(-1) as number],
  dtype: ([rows]) => rows.dtype,
  kernels: {
    js(out, [rows, ids], count) {
      const C = out.shape[1];
      checkIds(ids, count, "scatterRows");
      out.data.fill(0);
      ids.data.forEach((id, i) => {
        for (let c = 0; c < C; c++) out.data[id * C + c] += rows.data[i * C + c];
      });
    },
  },
  backward: (dy, [, ids]) => [dy.gatherRows(ids), null],
  samples: [{ ins: [[4, 3], [4]], attrs: 6, indices: { 1: 6 } }],
});

/** Rows of a table (rows, C) by int32 row numbers (…) → (…, C). Throws for a number outside the table. */
export const gatherRows = (table: Tensor, ids: Tensor): Tensor => apply(op, [table, ids], undefined);
