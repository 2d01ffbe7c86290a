/**
 * Rows of float32 numbers as int16 with one scale per row, for products with int8 weights.
 *
 *     level[k] = round(x[k] · L / max|x|)        x[k] ≈ level[k] · scale,  scale = max|x| / L
 *
 * A sum of K products of an int8 weight (at most 127) and a level (at most L) must fit 32 bits, which gives
 * L = min(32767, ⌊(2³¹ − 1) / 127 K⌋): 15 bits and a sign up to K = 516, 12 bits at K = 4096. Such sums are exact
 * integers, in any order, on any engine. What is lost is at most 0.51 of a level per number (the product before the
 * rounding is rounded too), so a result is off by at most 0.51 · scale · Σ|w|.
 */
import { allocate, release } from "../heap.ts";
import { type Kernel, kernel } from "../kernels/engine.ts";
import { loadTail } from "../kernels/lanes.ts";
import { load } from "../kernels/loads.ts";
import { F32x4, I32, I32x4, int } from "../kernels/values.ts";

/** Largest level for rows of K numbers. */
export const levels = (K: number): number => Math.min(32_767, Math.floor((2 ** 31 - 1) / (127 * K)));

/** Bytes from one row of levels to the next: whole vectors, filled up with zeros. */
export const levelPitch = (K: number): number => 8 * Math.ceil(K / 4);

/** Rows whose largest number is smaller are treated as if it were this: L / max|x| must stay finite. */
const SMALLEST = 2 ** -100;
/** Added to a float below 2²², it leaves the nearest integer, ties to even, in the lower bits. */
const MAGIC = 1.5 * 2 ** 23;
const MAGIC_BITS = 0x4b40_0000;

/** Kernel over rows: arguments are x, levels, scales, K, bytes between rows of x, bytes between rows of levels, L. */
export function quantizeKernel(): Kernel {
  return kernel("quantize rows", 7, ({ f, args, tileBegin, tileEnd }) => {
    const [x, out, scales, K, pitch, outPitch, L] = args;
    const [row, read, write] = f.locals(I32, 3);
    const largest = f.local(F32x4);
    const levels = f.let(L.toF32().splat());
    const magic = f.constant(MAGIC);
    const lanesLeft = f.let(K.and(3));
    f.range(row, tileBegin, tileEnd, 1, () => {
      const start = f.let(x.add(row.mul(pitch)));
      const fours = f.let(start.add(K.and(-4).shl(2)));
      /** Runs the body over the row, four numbers at a time, zeros behind the last. */
      const each = (body: (value: F32x4) => void): void => {
        f.range(read, start, fours, 16, () => body(f.let(load(F32x4, read))));
        f.if(lanesLeft, () => body(loadTail(f, fours, lanesLeft)));
      };
      // Unlike pmax, max keeps a NaN, which then reaches the scale and every result of the row.
      f.set(largest, f.constant(SMALLEST));
      each((value) => f.set(largest, largest.max(value.abs())));
      f.set(largest, largest.max(largest.shuffle(largest, [2, 3, 0, 1])));
      f.set(largest, largest.max(largest.shuffle(largest, [1, 0, 3, 2])));
      const scale = f.let(levels.div(largest));
      f.set(write, out.add(row.mul(outPitch)));
      each((value) => {
        const level = f.let(value.mul(scale).add(magic).as(I32x4).sub(f.constantInt(MAGIC_BITS)));
        f.storeTwo(write, level.narrow(level));
        f.bump(write, int(8));
      });
      f.storeLane(scales.add(row.shl(2)), f.let(largest.div(levels)), 0);
    });
  });
}

/**
 * Where levels and scales lie between the kernel that writes them and the one that reads them, one call later: a block
 * that all products share and that grows to the largest need.
 */
let room = { address: 0, bytes: 0 };

/** Makes sure of that many bytes; their address may change with the next call, so it is asked for at each run. */
export function reserveLevels(bytes: number): () => number {
  if (room.bytes < bytes) {
    if (room.bytes > 0) release(room.address, room.bytes);
    room = { address: allocate(bytes), bytes };
  }
  return () => room.address;
}
