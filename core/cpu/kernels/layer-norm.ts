/** Layer normalisation over rows (arXiv:1607.06450). */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail, sumLanes, tailMask } from "./lanes.ts";
import { load } from "./loads.ts";
import { accumulators, alongRow, combined, narrowRow } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

export interface LayerNorm {
  /** Shaped like x, perhaps the same block. */
  readonly out: TensorView;
  /** (…, C) */
  readonly x: TensorView;
  /** (C) */
  readonly gain: TensorView;
  /** (C) */
  readonly bias: TensorView;
  readonly eps: number;
}

/** (x − mean x) / √(variance x + eps) · gain + bias over the last axis. */
export function layerNormWasm({ out, x, gain, bias, eps }: LayerNorm): Ready | null {
  if (out.size === 0 || x.dtype !== "float32") return null;
  const C = x.shape.at(-1) ?? 1;
  const args = [...[out, x, gain, bias].map(addressOf), C, ...bitsOf([eps])];
  const vectors = narrowRow(C);
  const code = kernel(`layer norm ${vectors ?? ""}`, args.length, (k) => layerNormCode(k, vectors));
  return wasmCall(code, args, out.size / C, out.size * 0.001);
}

/** 1 / count in all lanes: a product is faster than a division, of which a narrow row has many. */
export const oneOver = ({ f }: KernelCode, count: I32): F32x4 =>
  f.let(f.constant(1).div(count.toF32().splat()));

/** Mean and 1 / √(variance + eps) of the row at `start`, in all lanes; `share` is 1 / count. */
export function rowStatistics(
  { f, madd }: KernelCode,
  start: I32,
  count: I32,
  share: F32x4,
  eps: F32x4,
  vectors: number | null,
): { mean: F32x4; scale: F32x4 } {
  const read = f.let(start);
  const sums = accumulators(f, 4, f.constant(0));
  alongRow(f, {
    pointers: [read],
    count,
    vectors,
    slots: 4,
    vector: (offset, slot) => f.set(sums[slot], sums[slot].add(load(F32x4, read, offset))),
    tail: (lanes) => f.set(sums[0], sums[0].add(loadTail(f, read, lanes))),
  });
  const add = (a: F32x4, b: F32x4) => a.add(b);
  const mean = f.let(sumLanes(f, combined(f, sums, add)).mul(share));

  f.set(read, start);
  const squares = accumulators(f, 4, f.constant(0));
  const square = (slot: number, difference: F32x4) => {
    const d = f.let(difference);
    f.set(squares[slot], madd(d, d, squares[slot]));
  };
  alongRow(f, {
    pointers: [read],
    count,
    vectors,
    slots: 4,
    vector: (offset, slot) => square(slot, load(F32x4, read, offset).sub(mean)),
    tail: (lanes) =>
      square(
        0,
        tailMask(lanes)
          .and(loadTail(f, read, lanes).sub(mean))
          .as(F32x4),
      ),
  });
  const variance = sumLanes(f, combined(f, squares, add)).mul(share);
  return { mean, scale: f.let(f.constant(1).div(variance.add(eps).sqrt())) };
}

function layerNormCode(code: KernelCode, vectors: number | null): void {
  const { f, args, tileBegin, tileEnd, madd } = code;
  const [out, x, gain, bias, count, epsBits] = args;
  const eps = f.let(epsBits.asF32().splat());
  const share = oneOver(code, count);
  const rowBytes = f.let(count.shl(2));
  const [row, read, write, readGain, readBias] = f.locals(I32, 5);
  f.range(row, tileBegin, tileEnd, 1, () => {
    const offset = f.let(row.mul(rowBytes));
    const start = f.let(x.add(offset));
    const { mean, scale } = rowStatistics(code, start, count, share, eps, vectors);
    f.set(read, start);
    f.set(write, out.add(offset));
    f.set(readGain, gain);
    f.set(readBias, bias);
    alongRow(f, {
      pointers: [write, read, readGain, readBias],
      count,
      vectors,
      slots: 4,
      vector(at) {
        const normal = load(F32x4, read, at).sub(mean).mul(scale);
        f.store(write, madd(normal, load(F32x4, readGain, at), load(F32x4, readBias, at)), at);
      },
      tail(lanes) {
        const normal = f.let(loadTail(f, read, lanes).sub(mean).mul(scale));
        const y = madd(normal, loadTail(f, readGain, lanes), loadTail(f, readBias, lanes));
        storeTail(f, write, f.let(y), lanes);
      },
    });
  });
}
