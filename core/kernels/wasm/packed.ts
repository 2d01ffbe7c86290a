import { allocate, memory, release } from "../../memory.ts";
import type { Tensor } from "../../tensor.ts";
import { gemmTile, type Tile } from "./tile.ts";

/**
 * Weights laid out for `gemmWasm`: panels of the tile's columns, [k][columns] contiguous, the last one filled up with
 * zeros. They live on the heap until `dispose`.
 */
export class PackedWeights {
  readonly tile: Tile;
  readonly address: number;
  readonly bytes: number;
  readonly K: number;
  readonly N: number;

  constructor(K: number, N: number, tile: Tile) {
    const width = 4 * tile.vectors;
    this.K = K;
    this.N = N;
    this.tile = tile;
    this.bytes = 4 * K * Math.ceil(N / width) * width;
    this.address = allocate(this.bytes);
  }

  dispose(): void {
    release(this.address, this.bytes);
  }
}

/** Packs B, which is (K, N), or (N, K) with `transB`. */
export function packWeights(b: Tensor, K: number, N: number, transB: boolean): PackedWeights {
  const packed = new PackedWeights(K, N, gemmTile());
  const width = 4 * packed.tile.vectors;
  const to = new Float32Array(memory.buffer, packed.address, packed.bytes / 4).fill(0);
  const [stepK, stepN] = transB ? [1, K] : [N, 1];
  for (let n = 0; n < N; n++) {
    const panel = Math.floor(n / width) * K * width + (n % width);
    for (let k = 0; k < K; k++) to[panel + k * width] = b.data[k * stepK + n * stepN];
  }
  return packed;
}
