/**
 * How the weights of a product lie in memory.
 *
 * The columns of a K × N matrix are cut into panels. A panel holds its columns side by side for k = 0, then for k = 1 and
 * so on, so that a kernel which runs along k reads it from front to end:
 *
 *     panel 0: w[0][0 … width − 1]  w[1][0 … width − 1]  …      panel 1: w[0][width … 2 width − 1]  …
 *
 * How wide a panel is depends on the kernel that reads it. How its numbers are written down, their format, decides how many
 * bytes must come from memory.
 */
import { HeapBlock, memory } from "../heap.ts";
import type { Tile } from "./tile.ts";

/**
 * How weights are stored; sums are float32, or exact integers for int8. Where memory is the limit, time follows the
 * bytes. bfloat16 keeps 8 bits of precision. int8 keeps 7, relative to the largest weight of the column.
 */
export type WeightFormat = "float32" | "bfloat16" | "int8";

export const WEIGHT_BYTES: Readonly<Record<WeightFormat, number>> = { float32: 4, bfloat16: 2, int8: 1 };

/** Which kernel the weights are laid out for, by the number of rows it is made for. */
export interface Layout {
  readonly rows: "few" | "some" | "many";
  readonly format: WeightFormat;
  /** Columns of a panel. */
  readonly width: number;
  /** What the kernel for many rows holds in registers. */
  readonly tile?: Tile;
}

/**
 * For few-rows.ts. Six vectors of sums hide the latency of multiply-add and fit V8's registers beside six vectors of
 * weights; with eight, one is spilled, and its way through memory halves the speed. One wide panel is read as one stream:
 * several narrow ones side by side reach 0.5 (int8) to 0.9 (float32) of that from memory.
 */
export const forFewRows = (format: WeightFormat): Layout => ({ rows: "few", format, width: 24 });

/** For some-rows.ts: four rows share one pass over a panel. */
export const forSomeRows = (format: "float32" | "bfloat16"): Layout => ({ rows: "some", format, width: 8 });

/** For many-rows.ts: panels as wide as the tile's rows of sums. */
export const forManyRows = (tile: Tile): Layout & { readonly tile: Tile } => ({
  ...{ rows: "many", format: "float32", width: 4 * tile.vectors, tile },
});

const upTo = (multiple: number, x: number): number => Math.ceil(x / multiple) * multiple;

/** Where the number of step k and column j lies in a panel of `width` columns. */
const PLACES: Readonly<Record<WeightFormat, (width: number, k: number, j: number) => number>> = {
  /** [k][column] */
  float32: (width, k, j) => k * width + j,
  /**
   * [k][column], neighbouring vectors interleaved: a 32-bit lane holds a number of the first in its lower half and one of
   * the second in its upper half, so that a shift and a mask widen them.
   */
  bfloat16: (width, k, j) => k * width + (j & ~7) + 2 * (j & 3) + ((j >> 2) & 1),
  /** [k / 2][column][k mod 2]: what the integer product of pairs reads. */
  int8: (width, k, j) => (k >> 1) * 2 * width + 2 * j + (k & 1),
};

/**
 * Width of a panel that holds `columns` columns. Where weights are streamed, the last panel of a matrix takes no more than
 * whole vectors, or whole pairs of them in bfloat16; elsewhere it is as wide as the others.
 */
export function panelWidth({ rows, format, width }: Layout, columns: number): number {
  return upTo(rows === "few" ? (format === "bfloat16" ? 8 : 4) : width, columns);
}

/** Bytes of one step along k of `width` columns: a step is a pair of numbers for int8. */
export const stepBytes = (format: WeightFormat, width: number): number =>
  (format === "int8" ? 2 : WEIGHT_BYTES[format]) * width;

/**
 * G weight matrices of K × N, one behind the other, each in panels that are filled up with zeros. int8 weights have a
 * float32 scale per column. Lives on the heap until `dispose`.
 */
export class PackedWeights extends HeapBlock {
  readonly groups: number;
  readonly K: number;
  readonly N: number;
  readonly layout: Layout;
  /** Columns of a matrix with those that fill up its last panel. */
  readonly columns: number;
  /** Steps along k that are stored: pairs for int8. */
  readonly steps: number;
  /** Bytes of all matrices; behind them lie the column scales (int8), `columns` for each matrix. */
  readonly #weightBytes: number;

  constructor(groups: number, K: number, N: number, layout: Layout) {
    const { format, width } = layout;
    const full = N - (N % width);
    const columns = full + panelWidth(layout, N - full);
    const steps = format === "int8" ? Math.ceil(K / 2) : K;
    const weightBytes = upTo(4, groups * steps * stepBytes(format, columns));
    super(weightBytes + (format === "int8" ? 4 * groups * columns : 0), "PackedWeights");
    this.groups = groups;
    this.K = K;
    this.N = N;
    this.layout = layout;
    this.columns = columns;
    this.steps = steps;
    this.#weightBytes = weightBytes;
    new Uint8Array(memory.buffer, this.address, this.bytes).fill(0);
  }

  /** Address of the column scales (int8). */
  get scales(): number {
    return this.address + this.#weightBytes;
  }

  /** Rounds column n of matrix g, K numbers, to the format and stores it. */
  setColumn(g: number, n: number, column: ArrayLike<number>): void {
    const { K } = this;
    const place = this.#places(g, n);
    switch (this.layout.format) {
      case "float32": {
        const to = new Float32Array(memory.buffer, this.address);
        for (let k = 0; k < K; k++) to[place(k)] = column[k];
        break;
      }
      case "bfloat16": {
        const to = new Uint16Array(memory.buffer, this.address);
        const raw = new Uint32Array(Float32Array.from(column).buffer);
        for (let k = 0; k < K; k++) to[place(k)] = toBfloat16(raw[k]);
        break;
      }
      case "int8": {
        const to = new Int8Array(memory.buffer, this.address);
        let largest = 0;
        for (let k = 0; k < K; k++) largest = Math.max(largest, Math.abs(column[k]));
        this.#scaleOf(g, n)[0] = largest / 127;
        for (let k = 0; k < K; k++) to[place(k)] = Math.round((column[k] / largest || 0) * 127);
      }
    }
  }

  /** Column n of matrix g as it is stored. */
  column(g: number, n: number): Float64Array {
    const { K } = this;
    const place = this.#places(g, n);
    switch (this.layout.format) {
      case "float32": {
        const from = new Float32Array(memory.buffer, this.address);
        return Float64Array.from({ length: K }, (_, k) => from[place(k)]);
      }
      case "bfloat16": {
        const from = new Uint16Array(memory.buffer, this.address);
        const bits = Uint32Array.from({ length: K }, (_, k) => from[place(k)] << 16);
        return Float64Array.from(new Float32Array(bits.buffer));
      }
      case "int8": {
        const from = new Int8Array(memory.buffer, this.address);
        const [scale] = this.#scaleOf(g, n);
        return Float64Array.from({ length: K }, (_, k) => from[place(k)] * scale);
      }
    }
  }

  /** Index of the number in row k of column n, among the numbers of the format. */
  #places(g: number, n: number): (k: number) => number {
    const { format, width } = this.layout;
    const depth = format === "int8" ? 2 * this.steps : this.steps;
    const j = n % width;
    const start = (g * this.columns + n - j) * depth;
    const own = Math.min(width, this.columns - (n - j));
    const place = PLACES[format];
    return (k) => start + place(own, k, j);
  }

  #scaleOf(g: number, n: number): Float32Array {
    return new Float32Array(memory.buffer, this.scales + 4 * (g * this.columns + n), 1);
  }
}

/** The upper half of a float32's bits, rounded to nearest, ties to even; NaN stays NaN. */
function toBfloat16(bits: number): number {
  const notANumber = (bits & 0x7fff_ffff) > 0x7f80_0000;
  return notANumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
