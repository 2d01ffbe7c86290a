import type { Ready, TensorView } from "../../device.ts";
import type { PackedWeights } from "../product/layout.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { copyRow, copyRowsWasm, inTurn } from "./copy-rows.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

/** out[i] = table[ids[i]], rows of C numbers. The ids (int32) must lie inside the table: the op checks them. */
export function gatherRowsWasm(out: TensorView, table: TensorView, ids: TensorView): Ready | null {
  if (out.size === 0 || table.dtype !== "float32") return null;
  const args = [addressOf(out), addressOf(table), addressOf(ids), table.shape[1]];
  return wasmCall(kernel("gather rows", 4, gatherCode), args, ids.size, out.size * 0.0005);
}

/** The same of a table that is kept as the columns of panels, row by row read back. */
export function gatherColumns(out: TensorView, table: PackedWeights, ids: TensorView): Ready {
  return () => {
    ids.data.forEach((id, i) => {
      table.getColumn(0, id, out.data as Float32Array, i * table.K);
    });
  };
}

function gatherCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [out, table, ids, count] = args;
  const [row, read, write] = f.locals(I32, 3);
  f.range(row, tileBegin, tileEnd, 1, () => {
    f.set(
      read,
      table.add(
        load(I32, ids.add(row.shl(2)))
          .mul(count)
          .shl(2),
      ),
    );
    f.set(write, out.add(row.mul(count).shl(2)));
    copyRow(f, write, read, count);
  });
}

/**
 * out[ids[i]] += rows[i] over zeros, in the order of i; rows of C numbers whose id is `padding` are left out. One tile:
 * rows may go to the same place. The ids (int32) must lie inside `out`: the op checks them.
 */
export function scatterRowsWasm(
  out: TensorView,
  rows: TensorView,
  ids: TensorView,
  padding: number,
): Ready | null {
  if (rows.size === 0 || rows.dtype !== "float32") return null;
  const C = out.shape[1];
  const args = [addressOf(out), addressOf(rows), addressOf(ids), ids.size, padding, C];
  const scatter = wasmCall(kernel("scatter rows", 6, scatterCode), args, 1, rows.size * 0.0005);
  return inTurn([copyRowsWasm({ address: addressOf(out), pitch: C }, null, out.shape[0], C), scatter]);
}

function scatterCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [out, rows, ids, total, padding, count] = args;
  const [row, read, write] = f.locals(I32, 3);
  f.range(row, tileBegin.mul(total), f.let(tileEnd.mul(total)), 1, () => {
    const id = f.let(load(I32, ids.add(row.shl(2))));
    f.if(id.ne(padding), () => {
      f.set(read, rows.add(row.mul(count).shl(2)));
      f.set(write, out.add(id.mul(count).shl(2)));
      alongRow(f, {
        pointers: [write, read],
        count,
        slots: 1,
        vector: (offset) => f.store(write, load(F32x4, write, offset).add(load(F32x4, read, offset)), offset),
        tail: (lanes) =>
          storeTail(f, write, f.let(loadTail(f, write, lanes).add(loadTail(f, read, lanes))), lanes),
      });
    });
  });
}
