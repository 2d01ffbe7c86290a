import { HeapBlock, memory } from "../heap.ts";
import { toBfloat16, WEIGHT_BYTES } from "./streamed.ts";

/** Columns of a panel: with few rows, narrow panels share one pass over the weights. */
export const TILED_COLUMNS = 8;

/**
 * G float weight matrices of K × N laid out for `frozenLinearWasm`, which reads them for up to four rows at a time: panels
 * of TILED_COLUMNS columns, [k][columns] contiguous, the last one of each matrix filled up with zeros. In bfloat16 the two
 * vectors of a row are interleaved: a 32-bit lane holds a number of the first in its lower half and one of the second in
 * its upper half. Lives on the heap until `dispose`.
 */
export class TiledWeights extends HeapBlock {
  readonly K: number;
  readonly format: "float32" | "bfloat16";
  /** Columns of a matrix with those that fill up its last panel. */
  readonly #columns: number;

  constructor(groups: number, K: number, N: number, format: "float32" | "bfloat16") {
    const columns = Math.ceil(N / TILED_COLUMNS) * TILED_COLUMNS;
    super(groups * K * columns * WEIGHT_BYTES[format], "TiledWeights");
    this.K = K;
    this.format = format;
    this.#columns = columns;
    new Uint8Array(memory.buffer, this.address, this.bytes).fill(0);
  }

  /** Rounds column n of matrix g, K numbers, to the format and stores it. */
  setColumn(g: number, n: number, column: ArrayLike<number>): void {
    const place = this.#places(g, n);
    if (this.format === "float32") {
      const to = new Float32Array(memory.buffer, this.address);
      for (let k = 0; k < this.K; k++) to[place(k)] = column[k];
    } else {
      const to = new Uint16Array(memory.buffer, this.address);
      const raw = new Uint32Array(Float32Array.from(column).buffer);
      for (let k = 0; k < this.K; k++) to[place(k)] = toBfloat16(raw[k]);
    }
  }

  /** Column n of matrix g as it is stored. */
  column(g: number, n: number): Float64Array {
    const place = this.#places(g, n);
    if (this.format === "float32") {
      const from = new Float32Array(memory.buffer, this.address);
      return Float64Array.from({ length: this.K }, (_, k) => from[place(k)]);
    }
    const from = new Uint16Array(memory.buffer, this.address);
    const bits = Uint32Array.from({ length: this.K }, (_, k) => from[place(k)] << 16);
    return Float64Array.from(new Float32Array(bits.buffer));
  }

  /** Index of the number in row k of column n, among the numbers of the format. */
  #places(g: number, n: number): (k: number) => number {
    const j = n % TILED_COLUMNS;
    const start = (g * this.#columns + n - j) * this.K;
    const within = this.format === "bfloat16" ? 2 * (j & 3) + (j >> 2) : j;
    return (k) => start + k * TILED_COLUMNS + within;
  }
}
