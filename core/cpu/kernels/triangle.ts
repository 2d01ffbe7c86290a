import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32, I32x4 } from "./values.ts";

/** The entries of a square matrix below (`lower`) or above the diagonal; zeros elsewhere. */
export function triangleWasm(out: TensorView, x: TensorView, lower: boolean): Ready | null {
  const N = x.shape[0];
  const code = kernel(`triangle ${lower ? "lower" : "upper"}`, 3, (k) => triangleCode(k, lower));
  return wasmCall(code, [addressOf(out), addressOf(x), N], N, N * (N * 0.0005 + 0.005));
}

function triangleCode({ f, args, tileBegin, tileEnd }: KernelCode, lower: boolean): void {
  const [out, x, N] = args;
  const [row, write, read] = f.locals(I32, 3);
  const columns = f.local(I32x4);
  f.range(row, tileBegin, tileEnd, 1, () => {
    const start = f.let(row.mul(N).shl(2));
    f.set(write, out.add(start));
    f.set(read, x.add(start));
    f.set(columns, I32x4.of(0, 1, 2, 3));
    const diagonal = f.let(row.splat());
    const kept = (value: F32x4): F32x4 =>
      value.and(lower ? columns.lt(diagonal) : diagonal.lt(columns)) as F32x4;
    alongRow(f, {
      pointers: [write, read],
      count: N,
      slots: 1,
      vector(offset) {
        f.store(write, kept(load(F32x4, read, offset)), offset);
        f.set(columns, columns.add(f.constantInt(4)));
      },
      tail: (lanes) => storeTail(f, write, f.let(kept(loadTail(f, read, lanes))), lanes),
    });
  });
}
