/**
 * Matrix product C = op(A)·op(B), with what follows it in the same kernel: bias, an elementwise function, a residual.
 *
 * The inner kernel keeps MR × NR sums of C in registers and runs along k, one step per turn of the loop: V8 moves the
 * loads of an unrolled body in front of the arithmetic and then runs out of registers. B comes in panels of NR columns,
 * [k][NR] contiguous: packed beforehand (`packWeights`) or, a block of k at a time, into the thread's scratch memory.
 *
 *     for each tile of C (rows × 64 columns; tiles are what threads share)
 *       for each block of KC steps of k
 *         pack the tile's panels of B
 *         for each panel, for each MR rows: C += A·B     the panel stays in the first cache, A comes from the second
 *       C = activation(C + bias) + residual
 *
 * Every element of C is one sum in the order of k, whatever the tile, the blocks and the number of threads: results
 * are the same bit for bit.
 */
import type { Block, Ready } from "../../device.ts";
import type { Expr } from "../../formula/expr.ts";
import { sizeOf } from "../../shape.ts";
import { Tensor } from "../../tensor.ts";
import { HeapBlock } from "../heap.ts";
import { addressOf, CpuStorage } from "../storage.ts";
import { activateBlock } from "./activate.ts";
import type { Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type Kernel, type KernelCode, kernel, SCRATCH_BYTES, usesFma } from "./engine.ts";
import { formulaKey } from "./formula.ts";
import { loadLanes, storeLanes } from "./lanes.ts";
import { type PackedWeights, PanelWeights } from "./packed.ts";
import { streamWasm } from "./stream.ts";
import { StreamedWeights } from "./streamed.ts";
import { gemmTile, TILES, type Tile, tileName, trial, withTile } from "./tile.ts";
import { F32x4, I32, load, loadLane, loadOne, loadSplat } from "./values.ts";

/** What to multiply. All matrices are contiguous float32 blocks, row-major. */
export interface Gemm {
  readonly out: Block;
  /** (M, K), or (K, M) with `transA`. */
  readonly a: Block;
  /** (K, N), or (N, K) with `transB`, or weights packed for this K and N. */
  readonly b: Block | PackedWeights;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Number of products; `strides` are the steps from one to the next, in elements (0: the same matrix again). */
  readonly batch?: number;
  readonly strides?: { readonly a: number; readonly b: number; readonly out: number };
  /** (N), added to every row. */
  readonly bias?: Block;
  /** Formula of one input, applied after the bias. */
  readonly activation?: Expr;
  /** Shaped like `out` (and batched like it), added last. */
  readonly residual?: Block;
  /** Starts the sums at what `out` holds. */
  readonly accumulate?: boolean;
}

/** Everything the code of a product kernel depends on. */
interface Spec {
  readonly tile: Tile;
  /** Row length of A in floats, an immediate of the code; null when A is transposed. */
  readonly lda: number | null;
  /** How B is given: packed, or as its rows or columns. */
  readonly b: "packed" | "rows" | "columns";
  /** Columns of the last panel when it is not full, or 0. */
  readonly ragged: number;
  readonly bias: boolean;
  readonly residual: boolean;
  readonly accumulate: boolean;
  readonly activation: Expr | null;
}

/** Columns of a tile of C: panels of B that are packed together. */
const TILE_COLUMNS = 64;
/** Bytes of A that one tile reads per block of k: half a second-level cache. */
const A_BYTES = 1 << 19;

/** Makes a product ready to run; null where K is 0. */
export function gemmWasm(task: Gemm): Ready | null {
  const { out, a, b, M, N, K, batch = 1, strides, bias, residual } = task;
  if (K === 0 || M * N * batch === 0) return null;
  if (b instanceof HeapBlock) checkPacked(task, b);
  if (b instanceof StreamedWeights) {
    const { activation } = task;
    return streamWasm({ out, x: a, rowLength: K, weights: b, M, bias, activation, residual });
  }
  const packed = b instanceof PanelWeights ? b : null;
  const tile = packed?.tile ?? gemmTile();
  // Without many rows to use a block of B for, it need not fit the cache.
  const depth = packed && M < 12 ? K : Math.min(K, tile.depth);
  const width = 4 * tile.vectors;
  const code = gemmKernel({
    tile,
    lda: task.transA ? null : K,
    b: packed ? "packed" : task.transB ? "columns" : "rows",
    ragged: N % width,
    bias: bias !== undefined,
    residual: residual !== undefined,
    accumulate: task.accumulate ?? false,
    activation: task.activation ?? null,
  });
  const groups = Math.ceil(N / TILE_COLUMNS);
  const rows = tileRows(tile, M, Math.min(K, tile.depth), groups * batch);
  const rowTiles = Math.ceil(M / rows);
  // biome-ignore format: one line for the matrices, one for the sizes, one for the steps
  const args = [
    addressOf(a), packed?.address ?? addressOf(b as Block), addressOf(out),
    bias ? addressOf(bias) : 0, residual ? addressOf(residual) : 0,
    M, N, K, depth, rows, rowTiles, groups,
    4 * (strides?.a ?? 0), 4 * (strides?.b ?? 0), 4 * (strides?.out ?? 0),
  ];
  const cost = Math.max((2 * batch * M * N * K) / 40_000, (4 * K * N) / 20_000);
  return wasmCall(code, args, batch * rowTiles * groups, cost);
}

/** What the choice of a tile times: a product that fits the second cache, with B packed on the fly. */
trial.run = (tile) => {
  const [M, N, K] = [48, 96, 256];
  const [a, b, out] = [
    [M, K],
    [K, N],
    [M, N],
  ].map((shape) => Tensor.over(CpuStorage.allocated(sizeOf(shape), "float32"), shape));
  for (const x of [a, b]) x.write(new Float32Array(x.size));
  const ready = withTile(tile, () => gemmWasm({ out, a, b, M, N, K })) as Ready;
  ready();
  const start = performance.now();
  for (let i = 0; i < 3; i++) ready();
  const time = performance.now() - start;
  for (const x of [a, b, out]) x.dispose();
  return time;
};

function checkPacked({ M, N, K, transA, transB, accumulate, batch = 1 }: Gemm, b: PackedWeights): void {
  if (b.K !== K || b.N !== N) {
    throw new Error(
      `gemmWasm: weights packed for K = ${b.K}, N = ${b.N} used in a product of ${M} × ${K} × ${N}`,
    );
  }
  if (transA || transB)
    throw new Error("gemmWasm: packed weights go with an A that is not transposed, and have their layout");
  if (batch > 1) throw new Error("gemmWasm: packed weights serve one product, not a batch");
  if (accumulate && b instanceof StreamedWeights)
    throw new Error("gemmWasm: streamed weights cannot accumulate");
}

/** Rows per tile: as many as the cache likes, but enough tiles for some threads, and all about equally large. */
function tileRows(tile: Tile, M: number, depth: number, columnTiles: number): number {
  const cached = Math.floor(A_BYTES / (4 * depth));
  const shared = Math.max(48, Math.ceil((M * columnTiles) / 8));
  const tiles = Math.ceil(M / Math.min(cached, shared, M));
  return Math.ceil(M / tiles / tile.rows) * tile.rows;
}

/**
 * Panels that few rows take at a time: about eight sums hide the latency of multiply-add, and the sums, what is loaded
 * of B and a number of A must fit 15 registers.
 */
function panelsTogether(rows: number, { vectors }: Tile): number {
  const fits = (n: number) => n * rows * vectors <= 8 && n * (rows + 1) * vectors + 1 <= 15;
  return [4, 3, 2].find(fits) ?? 1;
}

/** Kernels without an activation by what `specCode` makes of their Spec: found without making a string. */
const kernels = new Map<number, Kernel>();
const LAYOUTS: readonly Spec["b"][] = ["rows", "columns", "packed"];

function specCode({ tile, lda, b, ragged, bias, residual, accumulate }: Spec): number {
  let code = 1 + (lda ?? -1);
  code = 64 * code + ragged;
  code = LAYOUTS.length * code + LAYOUTS.indexOf(b);
  code = (TILES.length + 1) * code + TILES.indexOf(tile);
  for (const flag of [bias, residual, accumulate, usesFma()]) code = 2 * code + (flag ? 1 : 0);
  return code;
}

function gemmKernel(spec: Spec): Kernel {
  if (spec.activation) return namedKernel(spec);
  const code = specCode(spec);
  let found = kernels.get(code);
  if (!found) kernels.set(code, (found = namedKernel(spec)));
  return found;
}

function namedKernel(spec: Spec): Kernel {
  const { tile, activation } = spec;
  const name = [
    ...["gemm", tileName(tile), spec.b, `lda ${spec.lda ?? "columns"}`],
    ...[`ragged ${spec.ragged}`, spec.bias ? "bias" : "", spec.residual ? "residual" : ""],
    ...[spec.accumulate ? "accumulate" : "", activation ? formulaKey(activation) : ""],
  ];
  return kernel(name.join(" "), 15, (code) => new GemmCode(spec, code).build());
}

/** Writes the code of one product kernel. */
class GemmCode {
  readonly #spec: Spec;
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
  readonly #rowEnd: Local<I32>;
  /** First column; the column after the last full panel; the column after the last. */
  readonly #column: Local<I32>;
  readonly #fullEnd: Local<I32>;
  readonly #columnEnd: Local<I32>;
  // The block of k at work: its first step, its length in steps, and where its panels are.
  readonly #k: Local<I32>;
  readonly #depth: Local<I32>;
  readonly #panels: Local<I32>;

  constructor(spec: Spec, code: KernelCode) {
    this.#spec = spec;
    this.#code = code;
    this.#width = 4 * spec.tile.vectors;
    this.#packed = spec.b === "packed";
    this.#rowBytes = 4 * this.#width;
    this.#panelBytes = this.#rowBytes * (this.#packed ? (spec.lda as number) : spec.tile.depth);
    if (TILE_COLUMNS * spec.tile.depth * 4 > SCRATCH_BYTES) {
      throw new Error(
        `gemm: a tile depth of ${spec.tile.depth} does not fit ${SCRATCH_BYTES} bytes of scratch memory`,
      );
    }
    const { f } = code;
    [this.#a, this.#b, this.#c, this.#residual, this.#rowEnd, this.#column] = f.locals(I32, 6);
    [this.#fullEnd, this.#columnEnd, this.#k, this.#depth, this.#panels] = f.locals(I32, 5);
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
      f.set(this.#rowEnd, f.let(row.add(rows)).min(M));
      f.set(this.#column, tile.rem(groups).mul(TILE_COLUMNS));
      f.set(this.#columnEnd, f.let(this.#column.add(TILE_COLUMNS)).min(N));
      f.set(this.#fullEnd, this.#columnEnd.sub(this.#columnEnd.rem(this.#width)));
      f.range(this.#k, 0, K, depth, () => {
        f.set(this.#depth, f.let(K.sub(this.#k)).min(depth));
        this.#findPanels();
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
    const pack = this.#spec.b === "rows" ? this.#packRows : this.#packColumns;
    const [column, to] = [f.local(I32), f.let(scratch)];
    f.range(column, this.#column, this.#fullEnd, this.#width, () => {
      pack.call(this, column, to, this.#width);
      f.bump(to, this.#panelBytes);
    });
    if (this.#spec.ragged) {
      f.if(this.#fullEnd.ne(this.#columnEnd), () => pack.call(this, this.#fullEnd, to, this.#spec.ragged));
    }
  }

  /** Packs `columns` columns of B, (K, N), from `column` on: rows are copied. */
  #packRows(column: I32, to: I32, columns: number): void {
    const { f } = this.#code;
    const { N } = this.#args;
    const from = f.let(this.#b.add(this.#k.mul(N).add(column).shl(2)));
    const [write, end] = [f.let(to), f.let(to.add(this.#depth.mul(this.#rowBytes)))];
    f.repeatWhile(
      () => {
        for (let done = 0; done < columns; done += 4) {
          f.store(write, loadLanes(from, Math.min(4, columns - done), 4 * done), 4 * done);
        }
        f.bump(from, N.shl(2));
        f.bump(write, this.#rowBytes);
      },
      () => write.ne(end),
    );
  }

  /** Packs `columns` columns of B given as rows, (N, K): blocks of four by four are transposed. */
  #packColumns(column: I32, to: I32, columns: number): void {
    const { f } = this.#code;
    const { K } = this.#args;
    const pitch = f.let(K.shl(2));
    for (let done = 0; done < columns; done += 4) {
      // Lanes past the last column are never stored: they may repeat it.
      const rows = [f.let(this.#b.add(column.add(done).mul(K).add(this.#k).shl(2)))];
      for (let j = 1; j < 4; j++) rows.push(f.let(done + j < columns ? rows[j - 1].add(pitch) : rows[j - 1]));
      const write = f.let(to.add(4 * done));
      const end = f.let(write.add(this.#depth.mul(this.#rowBytes)));
      const fours = f.let(write.add(this.#depth.and(-4).mul(this.#rowBytes)));
      f.if(write.ne(fours), () =>
        f.repeatWhile(
          () => {
            const [a, b, c, d] = rows.map((row) => f.let(load(F32x4, row)));
            const [ab, cd] = [f.let(a.shuffle(b, [0, 4, 1, 5])), f.let(c.shuffle(d, [0, 4, 1, 5]))];
            const [AB, CD] = [f.let(a.shuffle(b, [2, 6, 3, 7])), f.let(c.shuffle(d, [2, 6, 3, 7]))];
            f.store(write, ab.shuffle(cd, [0, 1, 4, 5]));
            f.store(write, ab.shuffle(cd, [2, 3, 6, 7]), this.#rowBytes);
            f.store(write, AB.shuffle(CD, [0, 1, 4, 5]), 2 * this.#rowBytes);
            f.store(write, AB.shuffle(CD, [2, 3, 6, 7]), 3 * this.#rowBytes);
            for (const row of rows) f.bump(row, 16);
            f.bump(write, 4 * this.#rowBytes);
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
            f.bump(write, this.#rowBytes);
          },
          () => write.ne(end),
        ),
      );
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
    const { lda, bias, residual, accumulate, activation } = this.#spec;
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
    if (accumulate) fromC();
    else f.if(this.#k, fromC, fromZero);

    // a points to the row's (or column's) first number of this block of k; b runs through the panel.
    const a = f.let(
      lda === null
        ? this.#a.add(this.#k.mul(M).add(row).shl(2))
        : this.#a.add(row.mul(4 * lda)).add(this.#k.shl(2)),
    );
    const aRow = lda === null ? 4 : 4 * lda;
    const aStep = lda === null ? f.let(M.shl(2)) : 4;
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
    activateBlock(this.#code, activation, {
      out: f.let(this.#c.add(place)),
      residual: this.#spec.residual ? f.let(this.#residual.add(place)) : null,
      N,
      rows: this.#rowEnd.sub(row),
      columns: this.#columnEnd.sub(this.#column),
      lanesLeft: this.#spec.ragged % 4,
    });
  }
}
