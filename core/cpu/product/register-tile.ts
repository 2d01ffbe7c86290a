/** The sums that the kernel for many rows keeps in registers: a small part of a tile, which is what threads share. */
export interface RegisterTile {
  readonly rows: number;
  readonly vectors: number;
  /** Steps of k per block. */
  readonly depth: number;
}

/** Up to 15 registers: sums, a row of B, a number of A. Deep blocks go with narrow panels: 16 KB of the first cache. */
export const REGISTER_TILES: readonly RegisterTile[] = [
  { rows: 4, vectors: 2, depth: 512 },
  { rows: 2, vectors: 4, depth: 256 },
  { rows: 6, vectors: 2, depth: 512 },
];

/** "4x8x512": rows, columns, steps of k. */
export const tileName = ({ rows, vectors, depth }: RegisterTile): string => `${rows}x${4 * vectors}x${depth}`;

/** The register tile of that name; null when there is none. */
export const tileNamed = (name: string): RegisterTile | null =>
  REGISTER_TILES.find((tile) => tileName(tile) === name) ?? null;
