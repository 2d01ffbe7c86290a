/** Loops along rows, with several independent vectors under way at once. */
import type { Func, Local } from "./assembler.ts";
import type { F32x4, I32 } from "./values.ts";

export interface RowLoop {
  /** Where the row is read and written: each moves along with the loop. */
  readonly pointers: readonly Local<I32>[];
  /** Numbers in the row. */
  readonly count: I32;
  /** Code for rows of that length only, whole vectors: written out, and the pointers stay where they are. */
  readonly vectors?: number | null;
  /** Vectors per turn; each has its own `slot`, so that sums in different slots do not wait for each other. */
  readonly slots: number;
  /** Handles the vector `offset` bytes behind the pointers. */
  vector(offset: number, slot: number): void;
  /** Handles the last 1 to 3 numbers, `lanes` of them, at the pointers. */
  tail(lanes: I32): void;
}

/** Walks one row: several vectors a turn, then one a turn, then the numbers that do not fill a vector. */
export function alongRow(f: Func, { pointers, count, vectors, slots, vector, tail }: RowLoop): void {
  if (vectors) {
    for (let v = 0; v < vectors; v++) vector(16 * v, v % slots);
    return;
  }
  const first = pointers[0];
  const turns = (slots: number, end: Local<I32>) => {
    f.if(first.ne(end), () =>
      f.repeatWhile(
        () => {
          for (let slot = 0; slot < slots; slot++) vector(16 * slot, slot);
          for (const pointer of pointers) f.bump(pointer, 16 * slots);
        },
        () => first.ne(end),
      ),
    );
  };
  const start = f.let(first);
  if (slots > 1) turns(slots, f.let(start.add(count.and(-4 * slots).shl(2))));
  turns(1, f.let(start.add(count.and(-4).shl(2))));
  const lanes = f.let(count.and(3));
  f.if(lanes, () => tail(lanes));
}

/**
 * Rows up to this long are worth code of their own where a kernel passes over a row several times: the loops take
 * longer than what is in them.
 */
const NARROW = 64;

/** Vectors of a narrow row that consists of whole ones, for `RowLoop.vectors`; null for any other. */
export const narrowRow = (count: number): number | null =>
  count % 4 === 0 && count <= NARROW ? count / 4 : null;

/** Vector locals for sums in several slots, all starting at one value. */
export function accumulators(f: Func, slots: number, start: F32x4): Local<F32x4>[] {
  return Array.from({ length: slots }, () => f.let(start));
}

/** The accumulators taken together: 0 with 1, 2 with 3, and so on. */
export function combined(f: Func, sums: readonly F32x4[], combine: (a: F32x4, b: F32x4) => F32x4): F32x4 {
  let level = [...sums];
  while (level.length > 1) {
    level = level.flatMap((x, i) =>
      i % 2 ? [] : i + 1 < level.length ? [f.let(combine(x, level[i + 1]))] : [x],
    );
  }
  return level[0];
}
