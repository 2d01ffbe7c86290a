/** The norm of all numbers of a tensor, in double precision: gradients are clipped by it. */
import type { Ready, TensorView } from "../../device.ts";
import { allocate, memory, release } from "../heap.ts";
import { addressOf } from "../storage.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { load, loadLane, loadOne } from "./loads.ts";
import { runTiles } from "./threads.ts";
import { F32x4, F64x2, I32 } from "./values.ts";

/** Rows of a tile, each with a sum of its own: an addition need not wait for the one before it. */
const ROWS = 4;

/**
 * √Σ x²; null for a norm over some axes only. The squares of each row, the last axis, are added up in order, and then
 * the sums of the rows: the order of the plain kernel, hence the same bits.
 */
export function normWasm(out: TensorView, x: TensorView): Ready | null {
  if (out.size !== 1 || x.size === 0) return null;
  const columns = x.shape.at(-1) ?? 1;
  const rows = x.size / columns;
  const tiles = Math.ceil(rows / ROWS);
  const bytes = 8 * ROWS * tiles;
  const code = kernel("squares of rows", 4, squaresCode);
  const args = [addressOf(x), 0, rows, columns];
  return () => {
    args[1] = allocate(bytes);
    try {
      runTiles(code, args, tiles, x.size * 0.0003);
      const sums = new Float64Array(memory.buffer, args[1], rows);
      let total = 0;
      for (let row = 0; row < rows; row++) total += sums[row];
      out.data[0] = Math.sqrt(total);
    } finally {
      release(args[1], bytes);
    }
  };
}

/** sums[row] = Σ x[row][·]². Two rows share a vector of double precision; past the last row it is repeated. */
function squaresCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [x, sums, rows, columns] = args;
  const rowBytes = f.let(columns.shl(2));
  const last = f.let(x.add(rows.sub(1).mul(rowBytes)));
  const tile = f.local(I32);
  const reads = f.locals(I32, ROWS);
  const squares = f.locals(F64x2, ROWS / 2);
  /** Lanes 0 and 1 are numbers of the pair's rows. */
  const add = (pair: number, both: F32x4): void => {
    const numbers = f.let(both.lowToF64());
    f.set(squares[pair], squares[pair].add(numbers.mul(numbers)));
  };
  /** Runs the body along the rows, for each pair of them, so many columns at a time. */
  const along = (step: number, end: I32, body: (pair: number, a: I32, b: I32) => void): void => {
    const stop = f.let(end);
    f.if(reads[0].ne(stop), () =>
      f.repeatWhile(
        () => {
          for (let pair = 0; pair < ROWS / 2; pair++) body(pair, reads[2 * pair], reads[2 * pair + 1]);
          for (const read of reads) f.bump(read, 4 * step);
        },
        () => reads[0].ne(stop),
      ),
    );
  };
  f.range(tile, tileBegin, tileEnd, 1, () => {
    f.set(reads[0], x.add(tile.mul(ROWS).mul(rowBytes)));
    for (let i = 1; i < ROWS; i++) f.set(reads[i], f.let(reads[i - 1].add(rowBytes)).min(last));
    for (const square of squares) f.set(square, F64x2.splat(0));
    along(4, reads[0].add(columns.and(-4).shl(2)), (pair, a, b) => {
      const [above, below] = [a, b].map((read) => f.let(load(F32x4, read)));
      for (const lanes of [
        [0, 4, 1, 5],
        [2, 6, 3, 7],
      ] as const) {
        const two = f.let(above.shuffle(below, lanes)); // of each row
        add(pair, two);
        add(pair, two.shuffle(two, [2, 3, 2, 3]));
      }
    });
    along(1, reads[0].add(columns.and(3).shl(2)), (pair, a, b) => add(pair, loadLane(loadOne(a), 1, b)));
    squares.forEach((square, pair) => {
      f.store(sums.add(tile.mul(8 * ROWS)), square, 16 * pair);
    });
  });
}
