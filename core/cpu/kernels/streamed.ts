import { HeapBlock, memory } from "../heap.ts";

/**
 * How weights are stored; sums are float32, or exact integers for int8. Where memory is the limit, time follows the
 * bytes. bfloat16 keeps 8 bits of precision. int8 keeps 7, relative to the largest weight of the column.
 */
export type WeightFormat = "float32" | "bfloat16" | "int8";

export const WEIGHT_BYTES: Readonly<Record<WeightFormat, number>> = { float32: 4, bfloat16: 2, int8: 1 };

/**
 * Columns of a panel. Six vectors of sums hide the latency of multiply-add and fit V8's registers beside six vectors of
 * weights; with eight, one is spilled, and its way through memory halves the speed. One wide panel is read as one stream:
 * several narrow ones side by side reach 0.5 (int8) to 0.9 (float32) of that from memory.
 */
export const STREAM_COLUMNS = 24;

const stepBytes = (format: WeightFormat, width: number): number =>
  format === "int8" ? 2 * width : width * WEIGHT_BYTES[format];

/** Where the numbers of a panel of `width` columns lie, and how wide a last panel of `columns` columns is. */
interface Layout {
  readonly width: (columns: number) => number;
  readonly place: (width: number, k: number, j: number) => number;
}

const upTo = (multiple: number, x: number): number => Math.ceil(x / multiple) * multiple;

const LAYOUTS: Readonly<Record<WeightFormat, Layout>> = {
  /** [k][column] */
  float32: { width: (columns) => upTo(4, columns), place: (width, k, j) => k * width + j },
  /**
   * [k][column], neighbouring vectors interleaved: a 32-bit lane holds a number of the first in its lower half and one of
   * the second in its upper half, so that a shift and a mask widen them.
   */
  bfloat16: {
    width: (columns) => upTo(8, columns),
    place: (width, k, j) => k * width + (j & ~7) + 2 * (j & 3) + ((j >> 2) & 1),
  },
  /** [k / 2][column][k mod 2]: what the integer product of pairs reads. */
  int8: {
    width: (columns) => upTo(4, columns),
    place: (width, k, j) => (k >> 1) * 2 * width + 2 * j + (k & 1),
  },
};

/** Width of a panel that holds `columns` columns: whole vectors, whole pairs of them in bfloat16. */
export const panelWidth = (format: WeightFormat, columns: number): number => LAYOUTS[format].width(columns);

/**
 * G weight matrices of K × N laid out for `streamWasm`: each in panels of STREAM_COLUMNS columns, the last one as wide as
 * needed, one behind the other. int8 weights have a float32 scale per column. Lives on the heap until `dispose`.
 */
export class StreamedWeights extends HeapBlock {
  readonly groups: number;
  readonly K: number;
  readonly N: number;
  readonly format: WeightFormat;
  /** Bytes of all matrices; behind them lie the column scales (int8), `columns` for each matrix. */
  readonly #weightBytes: number;
  /** Columns of a matrix with those that fill up its last panel. */
  readonly columns: number;
  /** Steps along k that are stored: pairs for int8. */
  readonly steps: number;

  constructor(groups: number, K: number, N: number, format: WeightFormat) {
    const full = N - (N % STREAM_COLUMNS);
    const columns = full + panelWidth(format, N - full);
    const steps = format === "int8" ? Math.ceil(K / 2) : K;
    const weightBytes = upTo(4, groups * steps * stepBytes(format, columns));
    super(weightBytes + (format === "int8" ? 4 * groups * columns : 0), "StreamedWeights");
    this.groups = groups;
    this.K = K;
    this.N = N;
    this.format = format;
    this.columns = columns;
    this.steps = steps;
    this.#weightBytes = weightBytes;
    new Uint8Array(memory.buffer, this.address, this.bytes).fill(0);
  }

  /** Address of the column scales (int8). */
  get scales(): number {
    return this.address + this.#weightBytes;
  }

  /** Bytes of one step along k of `width` columns. */
  stepBytes(width: number): number {
    return stepBytes(this.format, width);
  }

  /** Bytes of one matrix. */
  get groupBytes(): number {
    return this.steps * this.stepBytes(this.columns);
  }

  /** Rounds column n of matrix g, K numbers, to the format and stores it. */
  setColumn(g: number, n: number, column: ArrayLike<number>): void {
    const { K, format } = this;
    const place = this.#places(g, n);
    if (format === "float32") {
      const to = new Float32Array(memory.buffer, this.address);
      for (let k = 0; k < K; k++) to[place(k)] = column[k];
    } else if (format === "bfloat16") {
      const to = new Uint16Array(memory.buffer, this.address);
      const raw = new Uint32Array(Float32Array.from(column).buffer);
      for (let k = 0; k < K; k++) to[place(k)] = toBfloat16(raw[k]);
    } else {
      const to = new Int8Array(memory.buffer, this.address);
      let largest = 0;
      for (let k = 0; k < K; k++) largest = Math.max(largest, Math.abs(column[k]));
      this.#scaleOf(g, n)[0] = largest / 127;
      for (let k = 0; k < K; k++) to[place(k)] = Math.round((column[k] / largest || 0) * 127);
    }
  }

  /** Column n of matrix g as it is stored. */
  column(g: number, n: number): Float64Array {
    const { K, format } = this;
    const place = this.#places(g, n);
    if (format === "float32") {
      const from = new Float32Array(memory.buffer, this.address);
      return Float64Array.from({ length: K }, (_, k) => from[place(k)]);
    }
    if (format === "bfloat16") {
      const from = new Uint16Array(memory.buffer, this.address);
      const bits = Uint32Array.from({ length: K }, (_, k) => from[place(k)] << 16);
      return Float64Array.from(new Float32Array(bits.buffer));
    }
    const from = new Int8Array(memory.buffer, this.address);
    const [scale] = this.#scaleOf(g, n);
    return Float64Array.from({ length: K }, (_, k) => from[place(k)] * scale);
  }

  /** Index of the number in row k of column n, among the numbers of the format. */
  #places(g: number, n: number): (k: number) => number {
    const depth = this.format === "int8" ? 2 * this.steps : this.steps;
    const j = n % STREAM_COLUMNS;
    const start = (g * this.columns + n - j) * depth;
    const width = Math.min(STREAM_COLUMNS, this.columns - (n - j));
    const { place } = LAYOUTS[this.format];
    return (k) => start + place(width, k, j);
  }

  #scaleOf(g: number, n: number): Float32Array {
    return new Float32Array(memory.buffer, this.scales + 4 * (g * this.columns + n), 1);
  }
}

/** The upper half of a float32's bits, rounded to nearest, ties to even; NaN stays NaN. */
export function toBfloat16(bits: number): number {
  const notANumber = (bits & 0x7fff_ffff) > 0x7f80_0000;
  return notANumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
