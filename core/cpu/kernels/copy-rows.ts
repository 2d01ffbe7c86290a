/**
 * Copies of pieces: rows of one length, each block with its own distance from row to row. For elements of four bytes.
 */
import type { Ready } from "../../device.ts";
import type { Func, Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

/** Where rows lie: the address of the first, and the elements from the start of one to the start of the next. */
export interface Rows {
  readonly address: number;
  readonly pitch: number;
}

/** Writes `rows` rows of `count` elements: those of `from`, or zeros. The blocks must not overlap. */
export function copyRowsWasm(to: Rows, from: Rows | null, rows: number, count: number): Ready | null {
  if (rows === 0 || count === 0) return null;
  const cost = rows * (count * 0.0003 + 0.005);
  if (!from) {
    return wasmCall(kernel("zero rows", 3, zeroCode), [to.address, count, 4 * to.pitch], rows, cost);
  }
  const args = [to.address, from.address, count, 4 * to.pitch, 4 * from.pitch];
  return wasmCall(kernel("copy rows", 5, copyCode), args, rows, cost);
}

/** Calls one after the other; those that have nothing to do are null. */
export const inTurn =
  (calls: readonly (Ready | null)[]): Ready =>
  () => {
    for (const call of calls) call?.();
  };

function copyCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [to, from, count, toStep, fromStep] = args;
  const [row, write, read] = f.locals(I32, 3);
  f.range(row, tileBegin, tileEnd, 1, () => {
    f.set(write, to.add(row.mul(toStep)));
    f.set(read, from.add(row.mul(fromStep)));
    copyRow(f, write, read, count);
  });
}

/** Code that copies one row of `count` elements; both pointers move along. */
export const copyRow = (f: Func, write: Local<I32>, read: Local<I32>, count: I32): void =>
  alongRow(f, {
    pointers: [write, read],
    count,
    slots: 4,
    vector: (offset) => f.store(write, load(F32x4, read, offset), offset),
    tail: (lanes) => storeTail(f, write, loadTail(f, read, lanes), lanes),
  });

function zeroCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [to, count, toStep] = args;
  const zero = f.constant(0);
  const [row, write] = f.locals(I32, 2);
  f.range(row, tileBegin, tileEnd, 1, () => {
    f.set(write, to.add(row.mul(toStep)));
    alongRow(f, {
      pointers: [write],
      count,
      slots: 4,
      vector: (offset) => f.store(write, zero, offset),
      tail: (lanes) => storeTail(f, write, zero, lanes),
    });
  });
}
