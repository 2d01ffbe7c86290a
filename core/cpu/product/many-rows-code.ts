/**
 * The kernel for many rows.
 *
 * The inner kernel keeps MR × NR sums of C in registers and runs along k, one step per turn of the loop: V8 moves the
 * loads of an unrolled body in front of the arithmetic and then runs out of registers. B comes in panels of NR columns,
 * [k][NR] contiguous: packed beforehand (layout.ts) or, a block of k at a time, into the thread's scratch memory.
 *
 *     for each tile of C (rows × 64 columns; tiles are what threads share)
 *       for each block of KC steps of k
 *         pack the tile's panels of B, and lay the rows of a transposed A out as rows
 *         for each panel, for each MR rows: C += A·B     the panel stays in the first cache, A comes from the second
 *       C = activation(C + bias) + residual
 */
import type { Expr } from "../../formula/expr.ts";
import type { Local } from "../kernels/assembler.ts";
import { type KernelCode, SCRATCH_BYTES } from "../kernels/engine.ts";
import { loadLanes, storeLanes } from "../kernels/lanes.ts";
import { load, loadSplat } from "../kernels/loads.ts";
import { F32x4, I32 } from "../kernels/values.ts";
import { applyEpilogue } from "./epilogue.ts";
import { packColumns, packRows } from "./pack-panels.ts";
import type { RegisterTile } from "./register-tile.ts";

/** Everything the code of a product kernel depends on. */
export interface ManyRowsSpec {
  readonly tile: RegisterTile;
  /** Row length of A in floats, an immediate of the code; null when A is transposed. */
  readonly lda: number | null;
  /** Whether a transposed A is laid out as rows first. */
  readonly turned: boolean;
  /** How B is given: packed, or as its rows or columns. */
  readonly b: "packed" | "rows" | "columns";
  /** Columns of the last panel when it is not full, or 0. */
  readonly ragged: number;
  readonly bias: boolean;
  readonly residual: boolean;
  readonly activation: Expr | null;
}

/** Columns of a tile of C: panels of B that are packed together. */
export const TILE_COLUMNS = 64;

/**
 * Steps of k of a transposed A that are laid out at a time, and bytes from row to row: not a power of two, which caches
 * dislike.
 */
export const TURNED_DEPTH = 256;
const TURNED_ROW = 4 * (TURNED_DEPTH + 16);

/** Rows of a transposed A that there is scratch memory for, beside a tile's panels of B. */
export function turnedRows({ rows, depth }: RegisterTile): number {
  const fit = Math.floor((SCRATCH_BYTES - 4 * TILE_COLUMNS * depth) / TURNED_ROW);
  return fit - (fit % rows);
}

/**
 * Panels that few rows take at a time: about eight sums hide the latency of multiply-add, and the sums, what is loaded
 * of B and a number of A must fit 15 registers.
 */
function panelsTogether(rows: number, { vectors }: RegisterTile): number {
  const fits = (n: number) => n * rows * vectors <= 8 && n * (rows + 1) * vectors + 1 <= 15;
  return [4, 3, 2].find(fits) ?? 1;
}

/** Writes the code of one kernel: its arguments are listed in `#args`. */
export const writeManyRows = (spec: ManyRowsSpec, code: KernelCode): void =>
  new ManyRowsCode(spec, code).build();

class ManyRowsCode {
  readonly #spec: ManyRowsSpec;
  readonly #code: KernelCode;
  readonly #packed: boolean;
  /** Columns, and bytes, of a panel's row. */
  readonly #width: number;
  readonly #rowBytes: number;
  /** Bytes from one panel of a group to the next. */
  readonly #panelBytes: number;
  // The tile at work.
  readonly #a: Local<I32>;
  readonly #b: Local<I32>;
  readonly #c: Local<I32>;
  readonly #residual: Local<I32>;
  readonly #firstRow: Local<I32>;
  readonly #rowEnd: Local<I32>;
  /** First column; the column after the last full panel; the column after the last. */
  readonly #column: Local<I32>;
  readonly #fullEnd: Local<I32>;
  readonly #columnEnd: Local<I32>;
  // The block of k at work: its first step, its length in steps, and where its panels are.
  readonly #k: Local<I32>;
  readonly #depth: Local<I32>;
  readonly #panels: Local<I32>;
  /** Where the rows of a transposed A were laid out. */
  readonly #rowsOfA: Local<I32>;

  constructor(spec: ManyRowsSpec, code: KernelCode) {
    this.#spec = spec;
    this.#code = code;
    this.#width = 4 * spec.tile.vectors;
    this.#packed = spec.b === "packed";
    this.#rowBytes = 4 * this.#width;
    this.#panelBytes = this.#rowBytes * (this.#packed ? (spec.lda as number) : spec.tile.depth);
    if (TILE_COLUMNS * spec.tile.depth * 4 > SCRATCH_BYTES) {
      throw new Error(
        `many rows: a tile depth of ${spec.tile.depth} does not fit ${SCRATCH_BYTES} bytes of scratch memory`,
      );
    }
    const { f } = code;
    [this.#a, this.#b, this.#c, this.#residual, this.#rowEnd, this.#column] = f.locals(I32, 6);
    [this.#fullEnd, this.#columnEnd, this.#k, this.#depth, this.#panels] = f.locals(I32, 5);
    [this.#firstRow, this.#rowsOfA] = f.locals(I32, 2);
  }

  get #args() {
    const [a, b, c, bias, residual, M, N, K, depth, rows, rowTiles, groups, ...steps] = this.#code.args;
    const [stepA, stepB, stepC] = steps;
    return { a, b, c, bias, residual, M, N, K, depth, rows, rowTiles, groups, stepA, stepB, stepC };
  }

  build(): void {
    const { f, tileBegin, tileEnd } = this.#code;
    const { a, b, c, residual, M, N, K, depth, rows, rowTiles, groups, stepA, stepB, stepC } = this.#args;
    const [tile, product, row] = f.locals(I32, 3);
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(product, tile.div(rowTiles.mul(groups)));
      f.set(row, tile.div(groups).rem(rowTiles).mul(rows));
      f.set(this.#a, a.add(product.mul(stepA)));
      f.set(this.#b, b.add(product.mul(stepB)));
      f.set(this.#c, c.add(product.mul(stepC)));
      f.set(this.#residual, residual.add(product.mul(stepC)));
      f.set(this.#firstRow, row);
      f.set(this.#rowEnd, f.let(row.add(rows)).min(M));
      f.set(this.#column, tile.rem(groups).mul(TILE_COLUMNS));
      f.set(this.#columnEnd, f.let(this.#column.add(TILE_COLUMNS)).min(N));
      f.set(this.#fullEnd, this.#columnEnd.sub(this.#columnEnd.rem(this.#width)));
      f.range(this.#k, 0, K, depth, () => {
        f.set(this.#depth, f.let(K.sub(this.#k)).min(depth));
        this.#findPanels();
        if (this.#spec.turned) this.#turnA(row);
        this.#rows(row);
      });
      if (this.#spec.activation) this.#activate(row, this.#spec.activation);
    });
  }

  /** Sets `panels` to the tile's first panel of this block of k, after packing when B is not packed. */
  #findPanels(): void {
    const { f, scratch } = this.#code;
    if (this.#packed) {
      // The panel of a column starts behind the K numbers of each column before it.
      const start = this.#column.mul(this.#args.K).shl(2).add(this.#k.mul(this.#rowBytes));
      f.set(this.#panels, this.#b.add(start));
      return;
    }
    f.set(this.#panels, scratch);
    const { N, K } = this.#args;
    const [b, k, depth, rowBytes] = [this.#b, this.#k, this.#depth, this.#rowBytes];
    const block = { b, k, depth, N, K, rowBytes };
    const pack = this.#spec.b === "rows" ? packRows : packColumns;
    const [column, to] = [f.local(I32), f.let(scratch)];
    f.range(column, this.#column, this.#fullEnd, this.#width, () => {
      pack(f, block, column, to, this.#width);
      f.bump(to, this.#panelBytes);
    });
    if (this.#spec.ragged) {
      f.if(this.#fullEnd.ne(this.#columnEnd), () => pack(f, block, this.#fullEnd, to, this.#spec.ragged));
    }
  }

  /**
   * Lays the tile's rows of a transposed A out for this block of k, behind the panels of B. Where they lie each step of
   * k is on another cache line, of which a few numbers are used, and with some widths all these lines compete for one
   * place.
   */
  #turnA(first: I32): void {
    const { f, scratch } = this.#code;
    const { M } = this.#args;
    f.set(this.#rowsOfA, scratch.add(4 * TILE_COLUMNS * this.#spec.tile.depth));
    const rows = f.let(this.#rowEnd.sub(first));
    const block = { b: this.#a, k: first, depth: rows, N: M, K: M, rowBytes: TURNED_ROW };
    const [k, write] = [f.local(I32), f.let<I32>(this.#rowsOfA)];
    const end = f.let(this.#k.add(this.#depth));
    const fours = f.let(this.#k.add(this.#depth.and(-4)));
    for (const [from, to, steps] of [
      [this.#k, fours, 4],
      [fours, end, 1],
    ] as const) {
      f.range(k, from, to, steps, () => {
        packColumns(f, block, k, write, steps);
        f.bump(write, 4 * steps);
      });
    }
  }

  /** All rows of the tile, for one block of k. */
  #rows(first: I32): void {
    const { f } = this.#code;
    const { tile, ragged } = this.#spec;
    const [row, column] = f.locals(I32, 2);
    const panel = f.local(I32);

    // Full panels: the panel outside, the rows inside; then the rows that are left, several panels at a time so that
    // as many sums are under way.
    const main = f.let(first.add(this.#rowEnd.sub(first).div(tile.rows).mul(tile.rows)));
    f.set(panel, this.#panels);
    f.range(column, this.#column, this.#fullEnd, this.#width, () => {
      f.range(row, first, main, tile.rows, () => this.#micro(row, column, panel, tile.rows, 1, this.#width));
      f.bump(panel, this.#panelBytes);
    });
    f.set(row, main);
    for (const rows of [4, 2, 1].filter((n) => n < tile.rows)) {
      this.#whileRowsLeft(row, rows, () => {
        f.set(panel, this.#panels);
        f.set(column, this.#column);
        const together = panelsTogether(rows, tile);
        for (const panels of [4, 3, 2, 1].filter(
          (n) => n === 1 || n === together || (n === 2 && together === 3),
        )) {
          f.block((done) =>
            f.loop((again) => {
              f.branchIf(column.add(panels * this.#width).gt(this.#fullEnd), done);
              this.#micro(row, column, panel, rows, panels, this.#width);
              f.bump(column, panels * this.#width);
              f.bump(panel, panels * this.#panelBytes);
              f.branch(again);
            }),
          );
        }
      });
    }

    // The last panel, when it is not full: fewer columns, more rows at a time.
    if (!ragged) return;
    f.if(this.#fullEnd.ne(this.#columnEnd), () => {
      f.set(panel, this.#panels.add(this.#fullEnd.sub(this.#column).div(this.#width).mul(this.#panelBytes)));
      f.set(row, first);
      for (const rows of [
        [6, 2, 1],
        [4, 1],
        [3, 1],
        [2, 1],
      ][Math.ceil(ragged / 4) - 1]) {
        this.#whileRowsLeft(row, rows, () => this.#micro(row, this.#fullEnd, panel, rows, 1, ragged));
      }
    });
  }

  /** Runs the body for `rows` rows at a time while that many are left. */
  #whileRowsLeft(row: Local<I32>, rows: number, body: () => void): void {
    const { f } = this.#code;
    f.block((done) =>
      f.loop((again) => {
        f.branchIf(row.add(rows).gt(this.#rowEnd), done);
        body();
        f.bump(row, rows);
        f.branch(again);
      }),
    );
  }

  /** The inner kernel: `rows` rows of C, and `columns` columns of each of `panels` panels, for one block of k. */
  #micro(row: I32, column: I32, panel: I32, rows: number, panels: number, columns: number): void {
    const { f, madd } = this.#code;
    const { lda, turned, bias, residual, activation } = this.#spec;
    const { K, M, N } = this.#args;
    const vectors = Math.ceil(columns / 4);
    const cells = Array.from({ length: rows * panels * vectors }, (_, i) => {
      const [r, j] = [Math.floor(i / (panels * vectors)), i % (panels * vectors)];
      const [p, v] = [Math.floor(j / vectors), j % vectors];
      const lanes = Math.min(4, columns - 4 * v);
      return { r, j, lanes, at: 4 * (p * this.#width + 4 * v), sum: f.local(F32x4) };
    });
    const place = f.let(row.mul(N).add(column).shl(2));
    const rowsOf = (base: I32): Local<I32>[] => {
      const pointers = [f.let(base.add(place))];
      for (let r = 1; r < rows; r++) pointers.push(f.let(pointers[r - 1].add(N.shl(2))));
      return pointers;
    };
    const c = rowsOf(this.#c);

    const fromC = () => {
      for (const { r, at, lanes, sum } of cells) f.set(sum, loadLanes(c[r], lanes, at));
    };
    const fromZero = () => {
      for (const { sum } of cells) f.set(sum, F32x4.zero());
    };
    f.if(this.#k, fromC, fromZero);

    // a points to the row's (or column's) first number of this block of k; b runs through the panel.
    const [aRow, aStep] = turned ? [TURNED_ROW, 4] : lda === null ? [4, f.let(M.shl(2))] : [4 * lda, 4];
    const a = f.let(
      turned
        ? this.#rowsOfA.add(row.sub(this.#firstRow).mul(aRow))
        : lda === null
          ? this.#a.add(this.#k.mul(M).add(row).shl(2))
          : this.#a.add(row.mul(aRow)).add(this.#k.shl(2)),
    );
    const b = f.let(panel);
    const end = f.let(panel.add(this.#depth.mul(this.#rowBytes)));
    const bs = f.locals(F32x4, panels * vectors);
    const x = f.local(F32x4);
    f.repeatWhile(
      () => {
        bs.forEach((value, j) => {
          const [p, v] = [Math.floor(j / vectors), j % vectors];
          f.set(value, load(F32x4, b, p * this.#panelBytes + 16 * v));
        });
        for (let r = 0; r < rows; r++) {
          f.set(x, loadSplat(a, r * aRow));
          for (const cell of cells) {
            if (cell.r === r) f.set(cell.sum, madd(x, bs[cell.j], cell.sum));
          }
        }
        f.bump(a, aStep);
        f.bump(b, this.#rowBytes);
      },
      () => b.ne(end),
    );

    if (bias || (residual && !activation)) {
      f.if(this.#k.add(this.#depth).eq(K), () => {
        const biasAt = f.let(this.#args.bias.add(column.shl(2)));
        const residualRows = residual && !activation ? rowsOf(this.#residual) : null;
        for (const { r, at, lanes, sum } of cells) {
          if (bias) f.set(sum, sum.add(loadLanes(biasAt, lanes, at)));
          if (residualRows) f.set(sum, sum.add(loadLanes(residualRows[r], lanes, at)));
        }
      });
    }
    for (const { r, at, lanes, sum } of cells) storeLanes(f, c[r], sum, lanes, at);
  }

  #activate(row: I32, activation: Expr): void {
    const { f } = this.#code;
    const { N } = this.#args;
    const place = f.let(row.mul(N).add(this.#column).shl(2));
    applyEpilogue(this.#code, activation, {
      out: f.let(this.#c.add(place)),
      residual: this.#spec.residual ? f.let(this.#residual.add(place)) : null,
      N,
      rows: this.#rowEnd.sub(row),
      columns: this.#columnEnd.sub(this.#column),
      lanesLeft: this.#spec.ragged % 4,
    });
  }
}
