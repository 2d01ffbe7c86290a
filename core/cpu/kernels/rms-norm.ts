/** Root-mean-square normalisation over rows (arXiv:1910.07467), with gain and bias. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail, sumLanes } from "./lanes.ts";
import { load } from "./loads.ts";
import { accumulators, alongRow, combined } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

/** x / √(mean x² + eps) · gain + bias over the last axis. `out` may be the same block as x. */
export function rmsNormWasm(
  out: TensorView,
  x: TensorView,
  gain: TensorView,
  bias: TensorView,
  eps: number,
): Ready | null {
  if (out.size === 0 || x.dtype !== "float32") return null;
  const C = x.shape.at(-1) as number;
  const rows = out.size / C;
  const args = [...[out, x, gain, bias].map(addressOf), C, (rows * C) / gain.size, ...bitsOf([eps])];
  return wasmCall(kernel("rms norm", 7, rmsNormCode), args, rows, out.size * 0.0007);
}

function rmsNormCode({ f, args, tileBegin, tileEnd, madd }: KernelCode): void {
  const [out, x, gain, bias, count, rowsPerGain, epsBits] = args;
  const eps = f.let(epsBits.asF32().splat());
  const length = f.let(count.toF32().splat());
  const rowBytes = f.let(count.shl(2));
  const [row, read, write, readGain, readBias] = f.locals(I32, 5);
  f.range(row, tileBegin, tileEnd, 1, () => {
    f.set(read, x.add(row.mul(rowBytes)));
    const squares = accumulators(f, 4, f.constant(0));
    const add = (slot: number, value: F32x4) => {
      const v = f.let(value);
      f.set(squares[slot], madd(v, v, squares[slot]));
    };
    alongRow(f, {
      pointers: [read],
      count,
      slots: 4,
      vector: (offset, slot) => add(slot, load(F32x4, read, offset)),
      tail: (lanes) => add(0, loadTail(f, read, lanes)),
    });
    const total = sumLanes(
      f,
      combined(f, squares, (a, b) => a.add(b)),
    );
    const scale = f.let(f.constant(1).div(total.div(length).add(eps).sqrt()));

    const offset = f.let(row.div(rowsPerGain).mul(rowBytes));
    f.set(read, x.add(row.mul(rowBytes)));
    f.set(write, out.add(row.mul(rowBytes)));
    f.set(readGain, gain.add(offset));
    f.set(readBias, bias.add(offset));
    alongRow(f, {
      pointers: [write, read, readGain, readBias],
      count,
      slots: 2,
      vector(at) {
        const normal = load(F32x4, read, at).mul(scale);
        f.store(write, madd(normal, load(F32x4, readGain, at), load(F32x4, readBias, at)), at);
      },
      tail(lanes) {
        const normal = f.let(loadTail(f, read, lanes).mul(scale));
        const factor = loadTail(f, readGain, lanes);
        storeTail(f, write, f.let(madd(normal, factor, loadTail(f, readBias, lanes))), lanes);
      },
    });
  });
}
