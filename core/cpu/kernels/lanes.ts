/** Vectors of fewer than four numbers: the ends of rows, read and written without touching what lies behind them. */
import type { Func } from "./assembler.ts";
import { load, loadLane, loadOne, loadTwo } from "./loads.ts";
import { F32x4, I8x16, type I32, I32x4 } from "./values.ts";

/** The first `lanes` (1 to 4) floats at `address + offset`, then zeros. */
export function loadLanes(address: I32, lanes: number, offset = 0): F32x4 {
  switch (lanes) {
    case 1:
      return loadOne(address, offset);
    case 2:
      return loadTwo(address, offset);
    case 3:
      return loadLane(loadTwo(address, offset), 2, address, offset + 8);
    default:
      return load(F32x4, address, offset);
  }
}

/** Writes the first `lanes` (1 to 4) floats of a local. */
export function storeLanes(f: Func, address: I32, value: F32x4, lanes: number, offset = 0): void {
  if (lanes === 4) f.store(address, value, offset);
  else if (lanes >= 2) f.storeTwo(address, value, offset);
  if (lanes % 2 === 1) f.storeLane(address, value, lanes - 1, offset + 4 * (lanes - 1));
}

/** Like `loadLanes`, for a number of lanes (1 to 3) known at run time only. */
export function loadTail(f: Func, address: I32, lanes: I32): F32x4 {
  const out = f.local(F32x4);
  f.if(
    lanes.and(2),
    () => {
      f.set(out, loadTwo(address));
      f.if(lanes.and(1), () => f.set(out, loadLane(out, 2, address, 8)));
    },
    () => f.set(out, loadOne(address)),
  );
  return out;
}

/**
 * Bytes that `swizzle` picks: the last `lanes` (1 to 4) of a vector move to its front, zeros follow. A row's end is
 * read so without touching what lies behind it.
 */
export function lastLanes(lanes: I32): I8x16 {
  const own = I32x4.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  return own.add(lanes.mul(-0x04040404).add(0x10101010).splat()).as(I8x16); // those from 16 on pick nothing
}

/** Like `storeLanes`, for a number of lanes (1 to 3) known at run time only. */
export function storeTail(f: Func, address: I32, value: F32x4, lanes: I32): void {
  f.if(
    lanes.and(2),
    () => {
      f.storeTwo(address, value);
      f.if(lanes.and(1), () => f.storeLane(address, value, 2, 8));
    },
    () => f.storeLane(address, value, 0),
  );
}

/** Mask of the first `lanes` lanes. */
export function tailMask(lanes: I32): I32x4 {
  return I32x4.of(0, 1, 2, 3).lt(lanes.splat());
}

/** The sum of the four lanes, in every lane: (0 + 2) + (1 + 3). */
export function sumLanes(f: Func, x: F32x4): F32x4 {
  return acrossLanes(f, x, (a, b) => a.add(b));
}

/** The largest of the four lanes, in every lane. */
export function maxLanes(f: Func, x: F32x4): F32x4 {
  return acrossLanes(f, x, (a, b) => a.pmax(b));
}

function acrossLanes(f: Func, x: F32x4, combine: (a: F32x4, b: F32x4) => F32x4): F32x4 {
  const all = f.let(x);
  const halves = f.let(combine(all, all.shuffle(all, [2, 3, 0, 1])));
  return f.let(combine(halves, halves.shuffle(halves, [1, 0, 3, 2])));
}

/** Four vectors as the rows of a matrix: its columns. */
export function transposeFour(f: Func, rows: readonly F32x4[]): F32x4[] {
  const [a, b, c, d] = rows.map((row) => f.let(row));
  const [ab, cd] = [f.let(a.shuffle(b, [0, 4, 1, 5])), f.let(c.shuffle(d, [0, 4, 1, 5]))];
  const [AB, CD] = [f.let(a.shuffle(b, [2, 6, 3, 7])), f.let(c.shuffle(d, [2, 6, 3, 7]))];
  return [
    ab.shuffle(cd, [0, 1, 4, 5]),
    ab.shuffle(cd, [2, 3, 6, 7]),
    AB.shuffle(CD, [0, 1, 4, 5]),
    AB.shuffle(CD, [2, 3, 6, 7]),
  ];
}
