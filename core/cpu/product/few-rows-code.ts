/**
 * The kernel for few rows.
 *
 *     for each panel of weights (24 columns; panels are what threads share)
 *       for each four rows, and those that are left
 *         for each block of k, for each portion of the columns: out += x·W    sums in registers
 *       out = activation(out + bias) + residual
 *
 * One row takes the whole panel at a time, so that it is read as one stream; more rows, four at most, go through it in
 * portions of 8 to 16 columns, a block of k at a time. Float sums run in the order of k: the same bits as any other
 * product of these numbers, for any number of rows beside it and any number of threads.
 *
 * With int8 weights x comes as integers and sums are exact: the load widens weights to 16 bits, and `dot` multiplies
 * and adds up pairs along k, four columns at a time. Two products of 7-bit numbers in one instruction (relaxed SIMD)
 * would run 1.4 times as fast in the cache and 1.1 times from memory, but leave 7 bits of x.
 */
import type { Expr } from "../../formula/expr.ts";
import type { WeightFormat } from "../../weight-format.ts";
import type { Local } from "../kernels/assembler.ts";
import type { KernelCode } from "../kernels/engine.ts";
import { loadLanes, storeLanes } from "../kernels/lanes.ts";
import { load, loadBytes, loadSplat } from "../kernels/loads.ts";
import { F32x4, I16x8, I32, I32x4, int } from "../kernels/values.ts";
import { applyEpilogue } from "./epilogue.ts";
import { type Layout, panelWidth, stepBytes } from "./layout.ts";

/** Everything the code depends on. */
export interface FewRowsSpec {
  readonly layout: Layout;
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
 * Steps of k that several rows take through all portions of a panel before the next ones, sums waiting in the result.
 * So few that while one portion brings weights from memory, what the others need is not far behind, and the next block
 * is on its way: four rows of 1024 × 16384 float32 weights take 2.9 ms, with 64 steps 4.4, with all of k at once 5.0.
 */
const BLOCK = 16;

/** Vectors of a panel that some rows take at a time: sums, weights and numbers of x fit 15 registers. */
const VECTORS: Readonly<Record<number, Readonly<Record<WeightFormat, number>>>> = {
  1: { float32: 6, bfloat16: 6, int8: 6 },
  2: { float32: 3, bfloat16: 4, int8: 3 },
  3: { float32: 3, bfloat16: 2, int8: 2 },
  4: { float32: 2, bfloat16: 2, int8: 2 },
};

/** Writes the code of one kernel: its arguments are listed in `#args`. */
export const writeFewRows = (spec: FewRowsSpec, code: KernelCode): void =>
  new FewRowsCode(spec, code).build();

class FewRowsCode {
  readonly #spec: FewRowsSpec;
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

  constructor(spec: FewRowsSpec, code: KernelCode) {
    this.#spec = spec;
    this.#code = code;
    this.#columnBytes = stepBytes(spec.layout.format, 1);
    [this.#panel, this.#scales, this.#bias, this.#out] = code.f.locals(I32, 4);
    [this.#residual, this.#x, this.#xScales, this.#row] = code.f.locals(I32, 4);
    [this.#step, this.#stepEnd] = code.f.locals(I32, 2);
  }

  get #args() {
    const [x, xScales, weights, scales, out, bias, residual, ...sizes] = this.#code.args;
    const [M, N, steps, panels, columns, xGroup, rowsPerBias, biasGroup] = sizes;
    return {
      x,
      xScales,
      weights,
      scales,
      out,
      bias,
      residual,
      M,
      N,
      steps,
      panels,
      columns,
      xGroup,
      rowsPerBias,
      biasGroup,
    };
  }

  build(): void {
    const { f, tileBegin, tileEnd } = this.#code;
    const { pitch, ragged, activation, residual, layout } = this.#spec;
    const args = this.#args;
    const [tile, group, column] = f.locals(I32, 3);
    const body = (columns: number): void => {
      this.#rows(columns);
      if (!activation) return;
      applyEpilogue(this.#code, activation, {
        out: this.#out,
        residual: residual ? this.#residual : null,
        N: args.N,
        rows: args.M,
        columns: int(columns),
        lanesLeft: columns % 4,
      });
    };
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(group, tile.div(args.panels));
      f.set(column, tile.sub(group.mul(args.panels)).mul(layout.width));
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
      if (ragged === 0) body(layout.width);
      else {
        f.if(
          f.let(column.add(layout.width)).gt(args.N),
          () => body(ragged),
          () => body(layout.width),
        );
      }
    });
  }

  /** All rows of a panel of `columns` columns. */
  #rows(columns: number): void {
    const { f } = this.#code;
    const { layout, fours, rowsLeft } = this.#spec;
    const { M, steps } = this.#args;
    /** `together` rows from row `row` on. */
    const some = (together: number): void => {
      const portion = 4 * VECTORS[together][layout.format];
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
    const { layout, pitch } = this.#spec;
    const { N, steps } = this.#args;
    const step = stepBytes(layout.format, panelWidth(layout, all));
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
    const panel = f.let(this.#panel.add(this.#step.mul(step)));
    const end = f.let(this.#panel.add(this.#stepEnd.mul(step)));
    f.repeatWhile(
      () => {
        const xs = Array.from({ length: rows }, (_, r) => f.let(loadSplat(x, r * pitch)));
        this.#multiply(cells, xs, panel, from * this.#columnBytes);
        f.bump(x, 4);
        f.bump(panel, step);
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
    const { format } = this.#spec.layout;
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
    const { layout, bias, residual, activation } = this.#spec;
    const { N, rowsPerBias } = this.#args;
    const rows = Array.from({ length: cells[cells.length - 1].r + 1 }, (_, r) => {
      const index = f.let(this.#row.add(r));
      const biasRow = this.#bias.add(index.div(rowsPerBias).mul(N).shl(2));
      return {
        scale: layout.format === "int8" ? f.let(loadSplat(this.#xScales.add(index.shl(2)))) : null,
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
