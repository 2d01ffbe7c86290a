/** How a matrix product cuts its work: rows and vectors of the sums held in registers, and steps of k per block. */
export interface Tile {
  readonly rows: number;
  readonly vectors: number;
  readonly depth: number;
}

/** The tile that unpacked products use. */
export function gemmTile(): Tile {
  return { rows: 4, vectors: 2, depth: 512 };
}
