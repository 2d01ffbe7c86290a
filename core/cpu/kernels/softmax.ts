/** Softmax over rows, and its gradient. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, maxLanes, storeTail, sumLanes, tailMask } from "./lanes.ts";
import { load } from "./loads.ts";
import { expNonPositive } from "./math.ts";
import { accumulators, alongRow, combined } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

/** Softmax over the last axis of x. `out` may be the same block. Probabilities below 2⁻¹²⁶ of the largest are 0. */
export function softmaxWasm(out: TensorView, x: TensorView): Ready | null {
  if (out.size === 0 || x.dtype !== "float32") return null;
  const C = x.shape.at(-1) ?? 1;
  const code = kernel("softmax", 3, softmaxCode);
  return wasmCall(code, [addressOf(out), addressOf(x), C], out.size / C, out.size * 0.002);
}

function softmaxCode(code: KernelCode): void {
  const { f, args, tileBegin, tileEnd } = code;
  const [out, x, count] = args;
  const rowBytes = f.let(count.shl(2));
  const [row, read, write] = f.locals(I32, 3);
  f.range(row, tileBegin, tileEnd, 1, () => {
    const start = f.let(x.add(row.mul(rowBytes)));
    const target = f.let(out.add(row.mul(rowBytes)));

    f.set(read, start);
    const lowest = f.constant(Number.NEGATIVE_INFINITY);
    const maxima = accumulators(f, 4, lowest);
    const keep = (slot: number, value: F32x4) => f.set(maxima[slot], maxima[slot].pmax(value));
    alongRow(f, {
      pointers: [read],
      count,
      slots: 4,
      vector: (offset, slot) => keep(slot, load(F32x4, read, offset)),
      tail: (lanes) => keep(0, tailMask(lanes).select<F32x4>(loadTail(f, read, lanes), lowest)),
    });
    const largest = maxLanes(
      f,
      combined(f, maxima, (a, b) => a.pmax(b)),
    );

    f.set(read, start);
    f.set(write, target);
    const sums = accumulators(f, 2, f.constant(0));
    alongRow(f, {
      pointers: [read, write],
      count,
      slots: 2,
      vector(offset, slot) {
        const e = expNonPositive(code, f.let(load(F32x4, read, offset).sub(largest)));
        f.store(write, e, offset);
        f.set(sums[slot], sums[slot].add(e));
      },
      tail(lanes) {
        const e = expNonPositive(code, f.let(loadTail(f, read, lanes).sub(largest)));
        storeTail(f, write, e, lanes);
        f.set(sums[0], sums[0].add(tailMask(lanes).and(e).as(F32x4)));
      },
    });
    const total = sumLanes(
      f,
      combined(f, sums, (a, b) => a.add(b)),
    );

    f.set(write, target);
    const factor = f.let(f.constant(1).div(total));
    alongRow(f, {
      pointers: [write],
      count,
      slots: 4,
      vector: (offset) => f.store(write, load(F32x4, write, offset).mul(factor), offset),
      tail: (lanes) => storeTail(f, write, f.let(loadTail(f, write, lanes).mul(factor)), lanes),
    });
  });
}

/** Gradient of softmax over the last axis: dx = y ⊙ (dy − Σ dy ⊙ y). */
export function softmaxGradWasm(dx: TensorView, y: TensorView, dy: TensorView): Ready | null {
  if (dx.size === 0 || y.dtype !== "float32") return null;
  const C = y.shape.at(-1) ?? 1;
  const code = kernel("softmax gradient", 4, softmaxGradCode);
  return wasmCall(code, [addressOf(dx), addressOf(y), addressOf(dy), C], dx.size / C, dx.size * 0.0005);
}

function softmaxGradCode({ f, args, tileBegin, tileEnd, madd }: KernelCode): void {
  const [dx, y, dy, count] = args;
  const rowBytes = f.let(count.shl(2));
  const [row, readY, readDy, write] = f.locals(I32, 4);
  const rewind = () => {
    const offset = f.let(row.mul(rowBytes));
    f.set(readY, y.add(offset));
    f.set(readDy, dy.add(offset));
    f.set(write, dx.add(offset));
  };
  f.range(row, tileBegin, tileEnd, 1, () => {
    rewind();
    const sums = accumulators(f, 4, f.constant(0));
    alongRow(f, {
      pointers: [readY, readDy],
      count,
      slots: 4,
      vector(offset, slot) {
        f.set(sums[slot], madd(load(F32x4, readY, offset), load(F32x4, readDy, offset), sums[slot]));
      },
      tail(lanes) {
        f.set(sums[0], madd(loadTail(f, readY, lanes), loadTail(f, readDy, lanes), sums[0]));
      },
    });
    const dot = sumLanes(
      f,
      combined(f, sums, (a, b) => a.add(b)),
    );
    rewind();
    alongRow(f, {
      pointers: [write, readY, readDy],
      count,
      slots: 4,
      vector(offset) {
        f.store(
          write,
          load(F32x4, readDy, offset)
            .sub(dot)
            .mul(load(F32x4, readY, offset)),
          offset,
        );
      },
      tail(lanes) {
        const slope = loadTail(f, readDy, lanes).sub(dot);
        storeTail(f, write, f.let(slope.mul(loadTail(f, readY, lanes))), lanes);
      },
    });
  });
}
