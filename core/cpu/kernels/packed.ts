import type { Block } from "../../device.ts";
import { HeapBlock, memory } from "../heap.ts";
import { StreamedWeights, type WeightFormat } from "./streamed.ts";
import { gemmTile, type Tile } from "./tile.ts";

/** Rows of the other operand up to which a product follows the weights' way from memory, and streams them. */
const STREAM_ROWS = 9;
/** Rows up to which packing on the fly costs more than a tenth of the product. */
export const PACKING_PAYS = 32;

/** A float32 matrix, K × N, laid out for one kind of product. Lives on the heap until `dispose`. */
export type PackedWeights = PanelWeights | StreamedWeights;

/** For products of many rows: panels of the tile's columns, [k][columns] contiguous, the last one filled up with zeros. */
export class PanelWeights extends HeapBlock {
  readonly K: number;
  readonly N: number;
  readonly tile: Tile;

  constructor(K: number, N: number, tile: Tile) {
    const width = 4 * tile.vectors;
    super(4 * K * Math.ceil(N / width) * width, "PanelWeights");
    this.K = K;
    this.N = N;
    this.tile = tile;
    new Uint8Array(memory.buffer, this.address, this.bytes).fill(0);
  }

  setColumn(n: number, column: Float32Array): void {
    const width = 4 * this.tile.vectors;
    const to = new Float32Array(memory.buffer, this.address);
    const start = (n - (n % width)) * this.K + (n % width);
    for (let k = 0; k < this.K; k++) to[start + k * width] = column[k];
  }
}

/** Packs B, which is (K, N), or (N, K) with `transB`, for products with `rows` rows. */
export function packWeights(b: Block, K: number, N: number, transB: boolean, rows: number): PackedWeights {
  if (rows <= STREAM_ROWS) return streamWeights(b, K, N, transB, "float32");
  const packed = new PanelWeights(K, N, gemmTile());
  eachColumn(b, K, N, transB, (n, column) => packed.setColumn(n, column));
  return packed;
}

/** Packs B, which is (K, N), or (N, K) with `transB`, in a format of its own. */
export function streamWeights(
  b: Block,
  K: number,
  N: number,
  transB: boolean,
  format: WeightFormat,
): StreamedWeights {
  const packed = new StreamedWeights(1, K, N, format);
  eachColumn(b, K, N, transB, (n, column) => packed.setColumn(0, n, column));
  return packed;
}

function eachColumn(
  b: Block,
  K: number,
  N: number,
  transB: boolean,
  body: (n: number, column: Float32Array) => void,
): void {
  if (b.dtype !== "float32" || b.size !== K * N) {
    throw new Error(`packWeights: expected ${K} × ${N} float32 numbers, got ${b.size} of ${b.dtype}`);
  }
  const [stepK, stepN] = transB ? [1, K] : [N, 1];
  const column = new Float32Array(K);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) column[k] = b.data[k * stepK + n * stepN];
    body(n, column);
  }
}
