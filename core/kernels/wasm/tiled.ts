import { allocate, memory, release } from "../../memory.ts";
import type { Tensor } from "../../tensor.ts";
import { toBfloat16, WEIGHT_BYTES, type WeightFormat } from "./streamed.ts";
import { gemmTile, type Tile } from "./tile.ts";

/**
 * A weight matrix laid out for `frozenLinearWasm`, which reads it for up to four rows at a time: panels of the tile's columns, [k][columns] contiguous, the last one filled
 * up with zeros. In bfloat16, neighbouring vectors are interleaved: a 32-bit lane holds a number of the first in its
 * lower half and one of the second in its upper half. int8 weights are followed by the float32 scales of the columns.
 * Lives on the heap until `dispose`.
 */
export class TiledWeights {
  readonly K: number;
  readonly N: number;
  readonly format: WeightFormat;
  readonly tile: Tile;
  readonly address: number;
  /** Address of the column scales (int8). */
  readonly scales: number;
  readonly #bytes: number;

  constructor(K: number, N: number, format: WeightFormat, tile: Tile) {
    const width = 4 * tile.vectors;
    const columns = Math.ceil(N / width) * width;
    const weights = K * columns * WEIGHT_BYTES[format];
    this.K = K;
    this.N = N;
    this.format = format;
    this.tile = tile;
    const aligned = Math.ceil(weights / 4) * 4;
    this.#bytes = format === "int8" ? aligned + 4 * columns : aligned;
    this.address = allocate(this.#bytes);
    this.scales = this.address + aligned;
    new Uint8Array(memory.buffer, this.address, this.#bytes).fill(0);
  }

  dispose(): void {
    release(this.address, this.#bytes);
  }
}

/** Packs B, which is (K, N), or (N, K) with `transB`. */
export function tileWeights(
  b: Tensor,
  K: number,
  N: number,
  transB: boolean,
  format: WeightFormat = "float32",
): TiledWeights {
  if (b.dtype !== "float32" || b.size !== K * N) {
    throw new Error(`tileWeights: expected ${K} × ${N} float32 numbers, got ${b.size} of ${b.dtype}`);
  }
  const packed = new TiledWeights(K, N, format, gemmTile());
  const width = 4 * packed.tile.vectors;
  const put = writer(packed);
  const [stepK, stepN] = transB ? [1, K] : [N, 1];
  const column = new Float32Array(K);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) column[k] = b.data[k * stepK + n * stepN];
    put(column, n, Math.floor(n / width) * K * width, n % width, width);
  }
  return packed;
}

/** Writes column n of B into its panel, which starts at element `panel`; `j` is its place among the panel's columns. */
type ColumnWriter = (column: Float32Array, n: number, panel: number, j: number, width: number) => void;

function writer({ format, address, scales, K, N }: TiledWeights): ColumnWriter {
  switch (format) {
    case "float32": {
      const to = new Float32Array(memory.buffer, address);
      return (column, _n, panel, j, width) => {
        for (let k = 0; k < K; k++) to[panel + k * width + j] = column[k];
      };
    }
    case "bfloat16": {
      const to = new Uint16Array(memory.buffer, address);
      return (column, _n, panel, j, width) => {
        const raw = new Uint32Array(column.buffer);
        const place = (j & ~7) + 2 * (j & 3) + ((j >> 2) & 1);
        for (let k = 0; k < K; k++) to[panel + k * width + place] = toBfloat16(raw[k]);
      };
    }
    case "int8": {
      const to = new Int8Array(memory.buffer, address);
      const scale = new Float32Array(memory.buffer, scales, N);
      return (column, n, panel, j, width) => {
        const largest = column.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
        scale[n] = largest / 127;
        for (let k = 0; k < K; k++) to[panel + k * width + j] = Math.round((column[k] / largest || 0) * 127);
      };
    }
  }
}
