/**
 * Products of few rows with weights that are read once, as fast as memory gives them:
 *
 *     out = activation(x W + bias) + residual        for each of G matrices
 *
 * Weights come in panels of 24 columns (streamed.ts). A tile, which threads share, is one panel and all rows. One row
 * takes the whole panel at a time, so that it is read as one stream; more rows, four at most, go through it in portions of
 * 8 to 16 columns, a block of k at a time, their sums in registers. Float sums run in the order of k: the same bits as any
 * other product of these numbers, for any number of rows beside it and any number of threads.
 *
 * With int8 weights the rows of x are made integers first (quantize.ts) and sums are exact: the pairs along k that
 * `dot` adds up, four columns at a time, are widened to 16 bits by the load. Two products of 7-bit numbers in one
 * instruction (relaxed SIMD) would run 1.4 times as fast in the cache and 1.1 times from memory, but leave 7 bits of x.
 */
import type { Block, Ready } from "../../device.ts";
import type { Expr } from "../../formula/expr.ts";
import { addressOf } from "../storage.ts";
import { activateBlock } from "./activate.ts";
import type { Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { formulaKey } from "./formula.ts";
import { loadLanes, storeLanes } from "./lanes.ts";
import { levelPitch, levels, quantizeKernel, reserveLevels } from "./quantize.ts";
import {
  panelWidth,
  STREAM_COLUMNS,
  type StreamedWeights,
  WEIGHT_BYTES,
  type WeightFormat,
} from "./streamed.ts";
import { F32x4, I16x8, I32, I32x4, int, load, loadBytes, loadSplat } from "./values.ts";

/** All blocks are contiguous float32, row-major. */
export interface Stream {
  /** (G, M, N) */
  readonly out: Block;
  /** G · M rows, or M for all groups, of `rowLength` numbers; of each row the first K count. */
  readonly x: Block;
  readonly rowLength: number;
  readonly weights: StreamedWeights;
  readonly M: number;
  /** (…, R, N): R is a divisor of M, each bias row serves M / R rows; the first group's is number `biasFrom`. */
  readonly bias?: Block;
  readonly biasRows?: number;
  readonly biasFrom?: number;
  /** Formula of one input, applied after the bias. */
  readonly activation?: Expr;
  /** (G, M, N), added last. */
  readonly residual?: Block;
}

/** Everything the code depends on. */
interface Spec {
  readonly format: WeightFormat;
  /** Bytes from one row of x, or of its levels, to the next: immediates of the code. */
  readonly pitch: number;
  /** Columns of the last panel when it is not full, or 0. */
  readonly ragged: number;
  /** Whether there are four rows or more, and how many are left after fours. */
  readonly fours: boolean;
  readonly rowsLeft: number;
  /** Bias rows: none, one for all rows of a group, or several. */
  readonly bias: "none" | "one" | "some";
  readonly residual: boolean;
  readonly activation: Expr | null;
}

/**
 * Steps of k that several rows take through all portions of a panel before the next ones, sums waiting in the result. So
 * few that while one portion brings weights from memory, what the others need is not far behind, and the next block is on
 * its way: four rows of 1024 × 16384 float32 weights take 2.9 ms, with 64 steps 4.4, with all of k at once 5.0.
 */
const BLOCK = 16;

/** Vectors of a panel that some rows take at a time: sums, weights and numbers of x fit 15 registers. */
const VECTORS: Readonly<Record<number, Readonly<Record<WeightFormat, number>>>> = {
  1: { float32: 6, bfloat16: 6, int8: 6 },
  2: { float32: 3, bfloat16: 4, int8: 3 },
  3: { float32: 3, bfloat16: 2, int8: 2 },
  4: { float32: 2, bfloat16: 2, int8: 2 },
};

/** Makes the product ready to run; null where K is 0. */
export function streamWasm(task: Stream): Ready | null {
  const { out, x, rowLength, weights, M, bias, biasRows = 1, biasFrom = 0, residual } = task;
  const { K, N, groups, format, steps } = weights;
  if (K === 0 || out.size === 0) return null;
  const int8 = format === "int8";
  const spec: Spec = {
    format,
    pitch: int8 ? levelPitch(K) : 4 * rowLength,
    ragged: N % STREAM_COLUMNS,
    fours: M >= 4,
    rowsLeft: M % 4,
    bias: bias ? (biasRows === 1 ? "one" : "some") : "none",
    residual: residual !== undefined,
    activation: task.activation ?? null,
  };
  const { activation, ...plain } = spec;
  const name = `stream ${Object.values(plain).join(" ")} ${activation ? formulaKey(activation) : ""}`;
  const code = kernel(name, 15, (k) => new StreamCode(spec, k).build());
  const panels = Math.ceil(N / STREAM_COLUMNS);
  const shared = x.size === M * rowLength;
  const args = [
    ...[addressOf(x), 0, weights.address, weights.scales, addressOf(out)],
    ...[(bias ? addressOf(bias) : 0) + 4 * biasFrom * biasRows * N, residual ? addressOf(residual) : 0],
    ...[M, N, steps, panels, weights.columns, shared ? 0 : M, M / biasRows, 4 * biasRows * N],
  ];
  const size = groups * K * N;
  const cost = Math.max((2 * M * size) / 30_000, (size * WEIGHT_BYTES[format]) / 20_000);
  const product = wasmCall(code, args, groups * panels, cost);
  if (!int8) return product;

  const quantize = quantizeKernel();
  const rows = shared ? M : groups * M;
  const room = reserveLevels(rows * (spec.pitch + 4));
  const source = [addressOf(x), 0, 0, K, 4 * rowLength, spec.pitch, levels(K)];
  return () => {
    args[0] = source[1] = room();
    args[1] = source[2] = args[0] + rows * spec.pitch;
    quantize.run(source, 0, rows);
    product();
  };
}

/** Writes the code of one kernel. */
class StreamCode {
  readonly #spec: Spec;
  readonly #code: KernelCode;
  /** Bytes that a column takes per step along k. */
  readonly #columnBytes: number;
  // The tile at work: its panel of weights, its first column in scales, bias, result and residual, its rows of x.
  readonly #panel: Local<I32>;
  readonly #scales: Local<I32>;
  readonly #bias: Local<I32>;
  readonly #out: Local<I32>;
  readonly #residual: Local<I32>;
  readonly #x: Local<I32>;
  readonly #xScales: Local<I32>;
  readonly #row: Local<I32>;
  /** The block of k at work: steps before it, and after its last one. */
  readonly #step: Local<I32>;
  readonly #stepEnd: Local<I32>;

  constructor(spec: Spec, code: KernelCode) {
    this.#spec = spec;
    this.#code = code;
    this.#columnBytes = spec.format === "float32" ? 4 : 2;
    [this.#panel, this.#scales, this.#bias, this.#out] = code.f.locals(I32, 4);
    [this.#residual, this.#x, this.#xScales, this.#row] = code.f.locals(I32, 4);
    [this.#step, this.#stepEnd] = code.f.locals(I32, 2);
  }

  get #args() {
    const [x, xScales, weights, scales, out, bias, residual, ...sizes] = this.#code.args;
    const [M, N, steps, panels, columns, xGroup, rowsPerBias, biasGroup] = sizes;
    return {
      ...{ x, xScales, weights, scales, out, bias, residual },
      ...{ M, N, steps, panels, columns, xGroup, rowsPerBias, biasGroup },
    };
  }

  build(): void {
    const { f, tileBegin, tileEnd } = this.#code;
    const { pitch, ragged, activation, residual } = this.#spec;
    const args = this.#args;
    const [tile, group, column] = f.locals(I32, 3);
    const body = (columns: number): void => {
      this.#rows(columns);
      if (!activation) return;
      activateBlock(this.#code, activation, {
        ...{ out: this.#out, residual: residual ? this.#residual : null },
        ...{ N: args.N, rows: args.M, columns: int(columns), lanesLeft: columns % 4 },
      });
    };
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(group, tile.div(args.panels));
      f.set(column, tile.sub(group.mul(args.panels)).mul(STREAM_COLUMNS));
      const stored = f.let(group.mul(args.columns).add(column));
      f.set(this.#panel, args.weights.add(stored.mul(args.steps).mul(this.#columnBytes)));
      f.set(this.#scales, args.scales.add(stored.shl(2)));
      f.set(this.#bias, args.bias.add(group.mul(args.biasGroup)).add(column.shl(2)));
      const place = f.let(group.mul(args.M).mul(args.N).add(column).shl(2));
      f.set(this.#out, args.out.add(place));
      f.set(this.#residual, args.residual.add(place));
      const rows = f.let(group.mul(args.xGroup));
      f.set(this.#x, args.x.add(rows.mul(pitch)));
      f.set(this.#xScales, args.xScales.add(rows.shl(2)));
      if (ragged === 0) body(STREAM_COLUMNS);
      else {
        f.if(
          f.let(column.add(STREAM_COLUMNS)).gt(args.N),
          () => body(ragged),
          () => body(STREAM_COLUMNS),
        );
      }
    });
  }

  /** All rows of a panel of `columns` columns. */
  #rows(columns: number): void {
    const { f } = this.#code;
    const { format, fours, rowsLeft } = this.#spec;
    const { M, steps } = this.#args;
    /** `together` rows from row `row` on. */
    const some = (together: number): void => {
      const portion = 4 * VECTORS[together][format];
      const portions = (): void => {
        for (let from = 0; from < columns; from += portion) {
          this.#micro(together, from, Math.min(portion, columns - from), columns);
        }
        f.set(this.#step, this.#stepEnd);
      };
      f.set(this.#step, int(0));
      f.set(this.#stepEnd, steps);
      if (portion >= columns) portions();
      else {
        f.repeatWhile(
          () => {
            f.set(this.#stepEnd, f.let(this.#step.add(BLOCK)).min(steps));
            portions();
          },
          () => this.#step.ne(steps),
        );
      }
      f.bump(this.#row, together);
    };
    f.set(this.#row, int(0));
    if (fours)
      f.repeatWhile(
        () => some(4),
        () => f.let(this.#row.add(4)).gt(M).eq(0),
      );
    if (rowsLeft > 0) some(rowsLeft);
  }

  /** `rows` rows by `columns` columns, from column `from`, of a panel of `all` columns: one block of k. */
  #micro(rows: number, from: number, columns: number, all: number): void {
    const { f } = this.#code;
    const { format, pitch } = this.#spec;
    const { N, steps } = this.#args;
    const stepBytes = panelWidth(format, all) * this.#columnBytes;
    const cells = Array.from({ length: rows }, (_, r) => {
      const out = f.let(this.#out.add(this.#row.add(r).mul(N).shl(2)));
      return f.locals(F32x4, Math.ceil(columns / 4)).map((sum, v): Cell => {
        return { r, v, sum, out, at: 4 * (from + 4 * v), lanes: Math.min(4, columns - 4 * v) };
      });
    }).flat();

    const fromZero = (): void => {
      for (const { sum } of cells) f.set(sum, F32x4.zero());
    };
    const fromOut = (): void => {
      for (const { sum, out, lanes, at } of cells) f.set(sum, loadLanes(out, lanes, at));
    };
    const whole = columns === all;
    if (whole) fromZero();
    else f.if(this.#step, fromOut, fromZero);

    const x = f.let(this.#x.add(this.#row.mul(pitch)).add(this.#step.shl(2)));
    const panel = f.let(this.#panel.add(this.#step.mul(stepBytes)));
    const end = f.let(this.#panel.add(this.#stepEnd.mul(stepBytes)));
    f.repeatWhile(
      () => {
        const xs = Array.from({ length: rows }, (_, r) => f.let(loadSplat(x, r * pitch)));
        this.#multiply(cells, xs, panel, from * this.#columnBytes);
        f.bump(x, 4);
        f.bump(panel, stepBytes);
      },
      () => panel.ne(end),
    );

    const toOut = (): void => {
      for (const { sum, out, lanes, at } of cells) storeLanes(f, out, sum, lanes, at);
    };
    if (whole) this.#finish(cells);
    else f.if(this.#stepEnd.eq(steps), () => this.#finish(cells));
    toOut();
  }

  /** Adds one step of k, whose weights start at `panel + offset`; xs are the rows' numbers, or pairs of levels. */
  #multiply(cells: readonly Cell[], xs: readonly Local<F32x4>[], panel: I32, offset: number): void {
    const { f, madd } = this.#code;
    const { format } = this.#spec;
    const vectors = Math.max(...cells.map(({ v }) => v)) + 1;
    const of = (v: number): Cell[] => cells.filter((cell) => cell.v === v);
    if (format === "int8") {
      for (let v = 0; v < vectors; v++) {
        const pairs = f.let(loadBytes(panel, offset + 8 * v));
        for (const { r, sum } of of(v)) {
          f.set(
            sum,
            sum
              .as(I32x4)
              .add(pairs.dot(xs[r].as(I16x8)))
              .as(F32x4),
          );
        }
      }
      return;
    }
    const weights = format === "float32" ? this.#floats : this.#halves;
    weights.call(this, panel, offset, vectors).forEach((weight, v) => {
      for (const { r, sum } of of(v)) f.set(sum, madd(xs[r], weight, sum));
    });
  }

  #floats(panel: I32, offset: number, vectors: number): F32x4[] {
    const { f } = this.#code;
    return Array.from({ length: vectors }, (_, v) => f.let(load(F32x4, panel, offset + 16 * v)));
  }

  /** bfloat16 weights as floats. */
  #halves(panel: I32, offset: number, vectors: number): F32x4[] {
    const { f } = this.#code;
    const mask = f.constantInt(-0x1_0000);
    const pairs = Array.from({ length: Math.ceil(vectors / 2) }, (_, pair) => {
      const both = f.let(load(I32x4, panel, offset + 16 * pair));
      return [f.let(both.shl(16).as(F32x4)), f.let(both.and(mask).as(F32x4))];
    });
    return pairs.flat().slice(0, vectors);
  }

  /** Turns sums over all of k into results: scales, bias and residual. */
  #finish(cells: readonly Cell[]): void {
    const { f } = this.#code;
    const { format, bias, residual, activation } = this.#spec;
    const { N, rowsPerBias } = this.#args;
    const rows = Array.from({ length: cells[cells.length - 1].r + 1 }, (_, r) => {
      const index = f.let(this.#row.add(r));
      const biasRow = this.#bias.add(index.div(rowsPerBias).mul(N).shl(2));
      return {
        scale: format === "int8" ? f.let(loadSplat(this.#xScales.add(index.shl(2)))) : null,
        bias: bias === "some" ? f.let(biasRow) : this.#bias,
        residual: f.let(this.#residual.add(index.mul(N).shl(2))),
      };
    });
    for (const { r, sum, lanes, at } of cells) {
      const { scale, ...row } = rows[r];
      if (scale) {
        const exact = sum.as(I32x4).toF32x4();
        f.set(sum, exact.mul(load(F32x4, this.#scales, at)).mul(scale));
      }
      if (bias !== "none") f.set(sum, sum.add(loadLanes(row.bias, lanes, at)));
      if (residual && !activation) f.set(sum, sum.add(loadLanes(row.residual, lanes, at)));
    }
  }
}

/** Up to four neighbouring results of one row. */
interface Cell {
  /** Number of the row and of the vector. */
  readonly r: number;
  readonly v: number;
  /** Sums, or the bits of integers with int8 weights. */
  readonly sum: Local<F32x4>;
  /** Address of the panel's first column in the row of the result; bytes from there; how many are results. */
  readonly out: I32;
  readonly at: number;
  readonly lanes: number;
}
