/** One AdamW step (arXiv:1711.05101) over flat buffers: parameters and moments are read and written once. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { alongRow } from "./rows.ts";
import { F32x4, type I32 } from "./values.ts";

/** Numbers per tile; a multiple of four. */
const CHUNK = 4096;

/**
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← keep · p − rate · m / (√v · correction + ε) for `blocks` p, g, m, v
 * and `numbers` keep, β₁, 1 − β₁, β₂, 1 − β₂, rate, correction, ε.
 */
export function adamWWasm(blocks: readonly TensorView[], numbers: readonly number[]): Ready {
  const { size } = blocks[0];
  const args = [...blocks.map(addressOf), size, ...bitsOf(numbers)];
  const code = kernel("adamw", args.length, adamWCode);
  return wasmCall(code, args, Math.ceil(size / CHUNK), size * 0.001);
}

function adamWCode({ f, args, tileBegin, tileEnd, madd, nmadd }: KernelCode): void {
  const [parameter, gradient, first, second, size, ...numbers] = args;
  const [keep, beta1, rest1, beta2, rest2, rate, correction, eps] = numbers.map((bits) =>
    f.let(bits.asF32().splat()),
  );
  const begin = f.let(tileBegin.mul(CHUNK));
  const end = f.let(f.let(tileEnd.mul(CHUNK)).min(size));
  f.if(begin.lt(end), () => {
    const pointers = [parameter, gradient, first, second].map((base) => f.let(base.add(begin.shl(2))));
    const [p, g, m, v] = pointers;
    const update = (of: (pointer: I32) => F32x4) => {
      const slope = f.let(of(g));
      const mean = f.let(madd(beta1, of(m), rest1.mul(slope)));
      const square = f.let(madd(beta2, of(v), rest2.mul(slope).mul(slope)));
      const scale = square.sqrt().mul(correction).add(eps);
      return { mean, square, value: f.let(nmadd(rate, mean.div(scale), keep.mul(of(p)))) };
    };
    alongRow(f, {
      pointers,
      count: f.let(end.sub(begin)),
      slots: 1,
      vector(offset) {
        const { mean, square, value } = update((pointer) => load(F32x4, pointer, offset));
        f.store(m, mean, offset);
        f.store(v, square, offset);
        f.store(p, value, offset);
      },
      tail(lanes) {
        const { mean, square, value } = update((pointer) => loadTail(f, pointer, lanes));
        storeTail(f, m, mean, lanes);
        storeTail(f, v, square, lanes);
        storeTail(f, p, value, lanes);
      },
    });
  });
}
