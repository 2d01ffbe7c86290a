/**
 * Products of few rows with weights that are read once, as fast as memory gives them:
 *
 *     out = activation(x W + bias) + residual        for each of G matrices
 *
 * Weights come in panels of 24 columns (streamed.ts). A tile, which threads share, is one panel and all rows. One row
 * takes the whole panel at a time, so that it is read as one stream; two rows take half of it and four rows a third, their
 * sums in registers. Float sums run in the order of k: the same bits as any other product of these numbers, for any number
 * of rows beside it and any number of threads.
 *
 * With int8 weights the rows of x are made integers first (quantize.ts) and sums are exact: the pairs along k that
 * `dot` adds up, four columns at a time, are widened to 16 bits by the load. Two products of 7-bit numbers in one
 * instruction (relaxed SIMD) would run 1.4 times as fast in the cache and 1.1 times from memory, but leave 7 bits of x.
 */
import type { Expr } from "../../expr.ts";
import type { Ready } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
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
import { F32x4, I16x8, I32, I32x4, int, load, loadBytes, loadSplat, type V128 } from "./values.ts";

/** All blocks are contiguous float32, row-major. */
export interface Stream {
  /** (G, M, N) */
  readonly out: Tensor;
  /** G · M rows, or M for all groups, of `rowLength` numbers; of each row the first K count. */
  readonly x: Tensor;
  readonly rowLength: number;
  readonly weights: StreamedWeights;
  readonly M: number;
  /** (…, R, N): R is a divisor of M, each bias row serves M / R rows; the first group's is number `biasFrom`. */
  readonly bias?: Tensor;
  readonly biasRows?: number;
  readonly biasFrom?: number;
  /** Formula of one input, applied after the bias. */
  readonly activation?: Expr;
  /** (G, M, N), added last. */
  readonly residual?: Tensor;
}

/** Everything the code depends on. */
interface Spec {
  readonly format: WeightFormat;
  /** Bytes from one row of x, or of its levels, to the next: immediates of the code. */
  readonly pitch: number;
  /** Columns of the last panel when it is not full, or 0. */
  readonly ragged: number;
  /** Whether there are four rows or more, two more, one more. */
  readonly rows: string;
  /** Bias rows: none, one for all rows of a group, or several. */
  readonly bias: "none" | "one" | "some";
  readonly residual: boolean;
  readonly activation: Expr | null;
}

/** Vectors of a panel that some rows take at a time: sums, weights and numbers of x fit 15 registers. */
const VECTORS: Readonly<Record<number, Readonly<Record<WeightFormat, number>>>> = {
  1: { float32: 6, bfloat16: 6, int8: 6 },
  2: { float32: 3, bfloat16: 4, int8: 3 },
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
    rows: [M >= 4 ? 4 : "", M & 2 ? 2 : "", M & 1 ? 1 : ""].join(""),
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
    ...[x.address, 0, weights.address, weights.scales, out.address],
    ...[(bias?.address ?? 0) + 4 * biasFrom * biasRows * N, residual?.address ?? 0],
    ...[M, N, steps, panels, weights.columns, shared ? 0 : M, M / biasRows, 4 * biasRows * N],
  ];
  const size = groups * K * N;
  const cost = Math.max((2 * M * size) / 30_000, (size * WEIGHT_BYTES[format]) / 20_000);
  const product = wasmCall(code, args, groups * panels, cost);
  if (!int8) return product;

  const quantize = quantizeKernel();
  const rows = shared ? M : groups * M;
  const room = reserveLevels(rows * (spec.pitch + 4));
  const source = [x.address, 0, 0, K, 4 * rowLength, spec.pitch, levels(K)];
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

  constructor(spec: Spec, code: KernelCode) {
    this.#spec = spec;
    this.#code = code;
    this.#columnBytes = spec.format === "float32" ? 4 : 2;
    [this.#panel, this.#scales, this.#bias, this.#out] = code.f.locals(I32, 4);
    [this.#residual, this.#x, this.#xScales, this.#row] = code.f.locals(I32, 4);
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
    const { format, rows } = this.#spec;
    const width = panelWidth(format, columns);
    const { M } = this.#args;
    f.set(this.#row, int(0));
    for (const together of [4, 2, 1].filter((n) => rows.includes(String(n)))) {
      const portion = 4 * VECTORS[together][format];
      const body = (): void => {
        for (let from = 0; from < columns; from += portion) {
          this.#micro(together, from, Math.min(portion, columns - from), width);
        }
        f.bump(this.#row, together);
      };
      // Fours repeat; two and one come at most once, and are only in the code when they do.
      if (together < 4) body();
      else f.repeatWhile(body, () => f.let(this.#row.add(4)).gt(M).eq(0));
    }
  }

  /** `rows` rows by `columns` columns of a panel of that width, from its column `from`: all of k, and what follows. */
  #micro(rows: number, from: number, columns: number, width: number): void {
    const { f, madd } = this.#code;
    const { format, pitch } = this.#spec;
    const { steps } = this.#args;
    const vectors = Math.ceil(columns / 4);
    const stepBytes = width * this.#columnBytes;
    const offset = from * this.#columnBytes;
    const x = f.let(this.#x.add(this.#row.mul(pitch)));
    const panel = f.let(this.#panel);
    const end = f.let(panel.add(steps.mul(stepBytes)));
    const sums = Array.from({ length: rows }, () => f.locals(F32x4, vectors));
    const totals = Array.from({ length: rows }, () => f.locals(I32x4, vectors));
    for (const sum of format === "int8" ? totals.flat() : sums.flat()) f.set(sum, zero(sum));
    f.repeatWhile(
      () => {
        const xs = sums.map((_, r) => f.let(loadSplat(x, r * pitch)));
        if (format === "int8") {
          for (let v = 0; v < vectors; v++) {
            const pairs = f.let(loadBytes(panel, offset + 8 * v));
            totals.forEach((row, r) => {
              f.set(row[v], row[v].add(pairs.dot(xs[r].as(I16x8))));
            });
          }
        } else {
          this.#weights(panel, offset, vectors).forEach((weight, v) => {
            sums.forEach((row, r) => {
              f.set(row[v], madd(xs[r], weight, row[v]));
            });
          });
        }
        f.bump(x, 4);
        f.bump(panel, stepBytes);
      },
      () => panel.ne(end),
    );
    this.#finish(sums, totals, from, columns);
  }

  /** Vectors of float weights at `panel + offset`. */
  #weights(panel: I32, offset: number, vectors: number): F32x4[] {
    const { f } = this.#code;
    if (this.#spec.format === "float32") {
      return Array.from({ length: vectors }, (_, v) => f.let(load(F32x4, panel, offset + 16 * v)));
    }
    const mask = f.constantInt(-0x1_0000);
    return Array.from({ length: Math.ceil(vectors / 2) }, (_, pair) => {
      const both = f.let(load(I32x4, panel, offset + 16 * pair));
      return [both.shl(16).as(F32x4), both.and(mask).as(F32x4)].map((half) => f.let(half));
    })
      .flat()
      .slice(0, vectors);
  }

  /** Scales, bias and residual, and the result's way to memory. */
  #finish(sums: Local<F32x4>[][], totals: Local<I32x4>[][], from: number, columns: number): void {
    const { f } = this.#code;
    const { format, bias, residual, activation } = this.#spec;
    const { N, rowsPerBias } = this.#args;
    sums.forEach((row, r) => {
      const index = f.let(this.#row.add(r));
      const place = f.let(index.mul(N).shl(2));
      const out = f.let(this.#out.add(place));
      const biasAt = f.let(
        bias === "some" ? this.#bias.add(index.div(rowsPerBias).mul(N).shl(2)) : this.#bias,
      );
      const residualAt = f.let(this.#residual.add(place));
      const xScale = format === "int8" ? f.let(loadSplat(this.#xScales.add(index.shl(2)))) : null;
      row.forEach((sum, v) => {
        const at = 4 * (from + 4 * v);
        const lanes = Math.min(4, columns - 4 * v);
        if (xScale)
          f.set(
            sum,
            totals[r][v]
              .toF32x4()
              .mul(load(F32x4, this.#scales, at))
              .mul(xScale),
          );
        if (bias !== "none") f.set(sum, sum.add(loadLanes(biasAt, lanes, at)));
        if (residual && !activation) f.set(sum, sum.add(loadLanes(residualAt, lanes, at)));
        storeLanes(f, out, sum, lanes, at);
      });
    });
  }
}

const zero = (like: V128): F32x4 | I32x4 => (like instanceof I32x4 ? F32x4.zero().as(I32x4) : F32x4.zero());
