import type { Ready } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32, load } from "./values.ts";

/** out[i] = table[ids[i]], rows of C numbers. The ids (int32) must lie inside the table: the op checks them. */
export function gatherRowsWasm(out: Tensor, table: Tensor, ids: Tensor): Ready | null {
  if (out.size === 0 || table.dtype !== "float32") return null;
  const args = [out.address, table.address, ids.address, table.shape[1]];
  return wasmCall(kernel("gather rows", 4, gatherCode), args, ids.size, out.size * 0.0005);
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
    alongRow(f, {
      pointers: [write, read],
      count,
      slots: 4,
      vector: (offset) => f.store(write, load(F32x4, read, offset), offset),
      tail: (lanes) => storeTail(f, write, loadTail(f, read, lanes), lanes),
    });
  });
}
