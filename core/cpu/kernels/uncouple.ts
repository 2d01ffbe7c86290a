/** The inverse of an affine coupling, row by row. */
import type { Block, Ready } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { exp, tanh } from "./math.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32, load } from "./values.ts";

/** out = [z₁, (z₂ − t) ⊙ exp(−tanh s)] for z (B, N), terms = [s, t] (2, B, N/2). `out` may be the same block as z. */
export function uncoupleWasm(out: Block, z: Block, terms: Block): Ready | null {
  if (out.size === 0 || z.dtype !== "float32") return null;
  const [B, N] = z.shape;
  const args = [addressOf(out), addressOf(z), addressOf(terms), addressOf(terms) + 2 * B * N, N / 2];
  return wasmCall(kernel("uncouple", 5, uncoupleCode), args, B, out.size * 0.003);
}

function uncoupleCode(code: KernelCode): void {
  const { f, args, tileBegin, tileEnd } = code;
  const [out, z, scales, shifts, half] = args;
  const halfBytes = f.let(half.shl(2));
  const [row, read, write, readScale, readShift] = f.locals(I32, 5);
  const solve = (changed: F32x4, scale: F32x4, shift: F32x4): F32x4 => {
    const factor = exp(code, f.let(tanh(code, f.let(scale)).neg()));
    return f.let(changed.sub(shift).mul(factor));
  };
  f.range(row, tileBegin, tileEnd, 1, () => {
    const offset = f.let(row.mul(halfBytes));
    f.set(read, z.add(offset.shl(1)));
    f.set(write, out.add(offset.shl(1)));
    alongRow(f, {
      pointers: [write, read],
      count: half,
      slots: 2,
      vector: (at) => f.store(write, load(F32x4, read, at), at),
      tail: (lanes) => storeTail(f, write, loadTail(f, read, lanes), lanes),
    });
    f.set(read, z.add(offset.shl(1)).add(halfBytes));
    f.set(write, out.add(offset.shl(1)).add(halfBytes));
    f.set(readScale, scales.add(offset));
    f.set(readShift, shifts.add(offset));
    alongRow(f, {
      pointers: [write, read, readScale, readShift],
      count: half,
      slots: 1,
      vector(at) {
        f.store(
          write,
          solve(load(F32x4, read, at), load(F32x4, readScale, at), load(F32x4, readShift, at)),
          at,
        );
      },
      tail(lanes) {
        const ins = [read, readScale, readShift].map((pointer) => loadTail(f, pointer, lanes));
        storeTail(f, write, solve(ins[0], ins[1], ins[2]), lanes);
      },
    });
  });
}
