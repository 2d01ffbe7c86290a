/** Packing steps of B into panels while the product runs: for the kernel for many rows. */
import type { Func } from "../kernels/assembler.ts";
import { loadLanes, transposeFour } from "../kernels/lanes.ts";
import { load, loadLane, loadOne } from "../kernels/loads.ts";
import { F32x4, type I32 } from "../kernels/values.ts";

/** The steps of B to pack, and how far the rows of a panel are apart. */
interface Depth {
  /** Address of B. */
  readonly b: I32;
  /** First step, and number of steps. */
  readonly k: I32;
  readonly depth: I32;
  readonly N: I32;
  readonly K: I32;
  readonly rowBytes: number;
}

/** Packs `columns` columns of B, (K, N), from `column` on: rows are copied. */
export function packRows(
  f: Func,
  { b, k, depth, N, rowBytes }: Depth,
  column: I32,
  to: I32,
  columns: number,
): void {
  const from = f.let(b.add(k.mul(N).add(column).shl(2)));
  const [write, end] = [f.let(to), f.let(to.add(depth.mul(rowBytes)))];
  f.repeatWhile(
    () => {
      for (let done = 0; done < columns; done += 4) {
        f.store(write, loadLanes(from, Math.min(4, columns - done), 4 * done), 4 * done);
      }
      f.bump(from, N.shl(2));
      f.bump(write, rowBytes);
    },
    () => write.ne(end),
  );
}

/** Packs `columns` columns of B given as rows, (N, K): blocks of four by four are transposed. */
export function packColumns(
  f: Func,
  { b, k, depth, K, rowBytes }: Depth,
  column: I32,
  to: I32,
  columns: number,
): void {
  const pitch = f.let(K.shl(2));
  for (let done = 0; done < columns; done += 4) {
    // Lanes past the last column are never stored: they may repeat it.
    const rows = [f.let(b.add(column.add(done).mul(K).add(k).shl(2)))];
    for (let j = 1; j < 4; j++) rows.push(f.let(done + j < columns ? rows[j - 1].add(pitch) : rows[j - 1]));
    const write = f.let(to.add(4 * done));
    const end = f.let(write.add(depth.mul(rowBytes)));
    const fours = f.let(write.add(depth.and(-4).mul(rowBytes)));
    f.if(write.ne(fours), () =>
      f.repeatWhile(
        () => {
          const four = rows.map((row) => load(F32x4, row));
          transposeFour(f, four).forEach((column, k) => {
            f.store(write, column, k * rowBytes);
          });
          for (const row of rows) f.bump(row, 16);
          f.bump(write, 4 * rowBytes);
        },
        () => write.ne(fours),
      ),
    );
    f.if(write.ne(end), () =>
      f.repeatWhile(
        () => {
          f.store(
            write,
            rows.reduce((vector, row, j) => loadLane(vector, j, row), loadOne(rows[0])),
          );
          for (const row of rows) f.bump(row, 4);
          f.bump(write, rowBytes);
        },
        () => write.ne(end),
      ),
    );
  }
}
