/**
 * How the weights of a product lie in memory.
 *
 * The columns of a K × N matrix are cut into panels. A panel holds its columns side by side for k = 0, then for k = 1
 * and so on, so that a kernel which runs along k reads it from front to end:
 *
 *     panel 0: w[0][0 … width − 1]  w[1][0 … width − 1]  …      panel 1: w[0][width … 2 width − 1]  …
 *
 * How wide a panel is depends on the kernel that reads it. How its numbers are written down, their format, decides how
 * many bytes must come from memory.
 */
import { type Kept, WEIGHT_BYTES, type WeightFormat } from "../../weight-format.ts";
import { Allocation, memory } from "../heap.ts";
import type { RegisterTile } from "./register-tile.ts";

/** Which kernel the weights are laid out for, by the number of rows it is made for. */
export interface Layout {
  readonly rows: "few" | "some" | "many";
  readonly format: WeightFormat;
  /** Columns of a panel. */
  readonly width: number;
  /** What the kernel for many rows holds in registers. */
  readonly tile?: RegisterTile;
}

/**
 * For few-rows.ts. Six vectors of sums hide the latency of multiply-add and fit V8's registers beside six vectors of
 * weights; with eight, one is spilled, and its way through memory halves the speed. One wide panel is read as one
 * stream: several narrow ones side by side reach 0.5 (int8) to 0.9 (float32) of that from memory.
 */
export const forFewRows = (format: WeightFormat): Layout => ({ rows: "few", format, width: 24 });

/** For some-rows.ts: four rows share one pass over a panel. */
export const forSomeRows = (format: "float32" | "bfloat16"): Layout => ({ rows: "some", format, width: 8 });

/** For many-rows.ts: panels as wide as the rows of sums in registers. */
export const forManyRows = (tile: RegisterTile): Layout & { readonly tile: RegisterTile } => ({
  rows: "many",
  format: "float32",
  width: 4 * tile.vectors,
  tile,
});

const upTo = (multiple: number, x: number): number => Math.ceil(x / multiple) * multiple;

/**
 * Where column j of a panel begins, in numbers; the next ones are one or, for int8, two panel widths apart.
 * A panel lies in memory as
 *
 *     float32     [k][column]
 *     bfloat16    [k][column], neighbouring vectors interleaved: a 32-bit lane holds a number of the first in its lower
 *                 half and one of the second in its upper half, so that a shift and a mask widen them
 *     int8        [k / 2][column][k mod 2]: what the integer product of pairs reads
 */
const COLUMN_STARTS: Readonly<Record<WeightFormat, (j: number) => number>> = {
  float32: (j) => j,
  bfloat16: (j) => (j & ~7) + 2 * (j & 3) + ((j >> 2) & 1),
  int8: (j) => 2 * j,
};

/**
 * Width of a panel that holds `columns` columns. Where weights are streamed, the last panel of a matrix takes no more
 * than whole vectors, or whole pairs of them in bfloat16; elsewhere it is as wide as the others.
 */
export function panelWidth({ rows, format, width }: Layout, columns: number): number {
  return upTo(rows === "few" ? (format === "bfloat16" ? 8 : 4) : width, columns);
}

/** Bytes of one step along k of `width` columns: a step is a pair of numbers for int8. */
export const stepBytes = (format: WeightFormat, width: number): number =>
  (format === "int8" ? 2 : WEIGHT_BYTES[format]) * width;

/** Arrays that look at numbers of a format. */
const VIEWS = { float32: Float32Array, bfloat16: Uint16Array, int8: Int8Array } as const;
type View = Float32Array | Uint16Array | Int8Array;
interface Views {
  readonly numbers: View;
  readonly scales: Float32Array;
}

/** The bits of numbers that are float32. */
function bitsOf(numbers: Kept["numbers"]): Uint32Array {
  const floats = numbers instanceof Float32Array ? numbers : new Float32Array(numbers);
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}

/**
 * G weight matrices of K × N, one behind the other, each in panels that are filled up with zeros. int8 weights have a
 * float32 scale per column. Lives on the heap until `dispose`.
 */
export class PackedWeights extends Allocation {
  readonly groups: number;
  readonly K: number;
  readonly N: number;
  readonly layout: Layout;
  /** Columns of a matrix with those that fill up its last panel. */
  readonly columns: number;
  /** Steps along k that are stored: pairs for int8. */
  readonly steps: number;
  #seen: Views | null = null;
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

  /** Stores column n of matrix g: K numbers, rounded to the format. */
  setColumn(g: number, n: number, { numbers, scale }: Kept): void {
    const { format } = this.layout;
    const { start, step } = this.#column(g, n);
    switch (format) {
      case "float32": {
        const to = this.#numbers() as Float32Array;
        for (let k = 0, at = start; k < numbers.length; k++, at += step) to[at] = numbers[k];
        break;
      }
      case "bfloat16": {
        const to = this.#numbers() as Uint16Array;
        const bits = bitsOf(numbers);
        for (let k = 0, at = start; k < bits.length; k++, at += step) to[at] = bits[k] >>> 16;
        break;
      }
      case "int8": {
        const to = this.#numbers() as Int8Array;
        for (let k = 0, at = start; k < numbers.length; k += 2, at += step) {
          to[at] = numbers[k];
          if (k + 1 < numbers.length) to[at + 1] = numbers[k + 1];
        }
        this.#columnScales()[g * this.columns + n] = scale;
      }
    }
  }

  /**
   * Reads column n of matrix g back into K numbers of `to`, from number `at` on: exactly what products multiply with.
   */
  getColumn(g: number, n: number, to: Float32Array, at: number): void {
    const { K } = this;
    const { start, step } = this.#column(g, n);
    switch (this.layout.format) {
      case "float32": {
        const from = this.#numbers() as Float32Array;
        for (let k = 0, place = start; k < K; k++, place += step) to[at + k] = from[place];
        break;
      }
      case "bfloat16": {
        const from = this.#numbers() as Uint16Array;
        const bits = new Uint32Array(to.buffer, to.byteOffset);
        for (let k = 0, place = start; k < K; k++, place += step) bits[at + k] = from[place] << 16;
        break;
      }
      case "int8": {
        const from = this.#numbers() as Int8Array;
        const scale = this.#columnScales()[g * this.columns + n];
        for (let k = 0; k < K; k++) to[at + k] = from[start + (k >> 1) * step + (k & 1)] * scale;
      }
    }
  }

  #numbers(): View {
    return this.#views().numbers;
  }

  #columnScales(): Float32Array {
    return this.#views().scales;
  }

  /** All numbers and scales, looked at anew when the heap has grown. */
  #views(): Views {
    const { address, scales, layout, columns, groups } = this;
    if (this.#seen?.scales.buffer !== memory.buffer) {
      const size = this.#weightBytes / VIEWS[layout.format].BYTES_PER_ELEMENT;
      this.#seen = {
        numbers: new VIEWS[layout.format](memory.buffer, address, size),
        scales: new Float32Array(memory.buffer, scales, layout.format === "int8" ? groups * columns : 0),
      };
    }
    return this.#seen;
  }

  /** Where the first number of a column lies, and how far the next one is (the next pair, for int8), in numbers. */
  #column(g: number, n: number): { start: number; step: number } {
    const { format, width } = this.layout;
    const depth = format === "int8" ? 2 * this.steps : this.steps;
    const j = n % width;
    const own = Math.min(width, this.columns - (n - j));
    const start = (g * this.columns + n - j) * depth + COLUMN_STARTS[format](j);
    return { start, step: format === "int8" ? 2 * own : own };
  }
}
