/**
 * The choice of tile for matrix products. Which one is fastest depends on how well the engine allocates registers, so
 * the first product on a machine tries each for a few milliseconds and keeps the winner in the user's cache. `NINA_TILE`, as in "4x8x512", overrides it.
 *
 * Results never depend on the choice, bit for bit: every tile adds the terms of an element in the order of k.
 */
import { cpus } from "node:os";
import { Cache } from "../../cache.ts";
import { usesFma } from "./engine.ts";

/** Rows and vectors of the sums held in registers, and steps of k per block. */
export interface Tile {
  readonly rows: number;
  readonly vectors: number;
  readonly depth: number;
}

/** Up to 15 registers: sums, a row of B, a number of A. Deep blocks go with narrow panels: 16 KB of the first cache. */
export const TILES: readonly Tile[] = [
  { rows: 4, vectors: 2, depth: 512 },
  { rows: 2, vectors: 4, depth: 256 },
  { rows: 6, vectors: 2, depth: 512 },
];

/** "4x8x512": rows, columns, steps of k. */
export const tileName = ({ rows, vectors, depth }: Tile): string => `${rows}x${4 * vectors}x${depth}`;

function tileNamed(name: string): Tile | null {
  return TILES.find((tile) => tileName(tile) === name) ?? null;
}

const chosen = new Map<boolean, Tile>();
/** Times one product under a tile, in any unit. gemm.ts, which needs the tile, sets it. */
export const trial: { run: ((tile: Tile) => number) | null } = { run: null };

/** The tile for products whose weights are not packed yet. Tries the candidates at its first call on a machine. */
export function gemmTile(): Tile {
  const fma = usesFma();
  let tile = chosen.get(fma);
  if (!tile) {
    tile = tileSetting() ?? remembered(fma) ?? tried(fma);
    chosen.set(fma, tile);
  }
  return tile;
}

/** The tile that `NINA_TILE` names, null when it is not set. Throws for a name that is none. */
export function tileSetting(): Tile | null {
  const name = process.env.NINA_TILE;
  if (!name) return null;
  const tile = tileNamed(name);
  if (!tile) throw new Error(`NINA_TILE: expected one of ${TILES.map(tileName).join(", ")}, got ${name}`);
  return tile;
}

/** Runs `body` with products under that tile. */
export function withTile<T>(tile: Tile, body: () => T): T {
  const before = chosen.get(usesFma());
  chosen.set(usesFma(), tile);
  try {
    return body();
  } finally {
    if (before) chosen.set(usesFma(), before);
    else chosen.delete(usesFma());
  }
}

/** One choice per processor, engine and flavour of multiply-add. */
export const cacheKey = (fma: boolean): string =>
  `tile: ${cpus()[0]?.model} | V8 ${process.versions.v8} | fma ${fma}`;

/** The tile that an earlier process chose on this machine; null when none did. */
export function remembered(fma: boolean): Tile | null {
  const kept = new Cache().read(cacheKey(fma));
  return kept && tileNamed(new TextDecoder().decode(kept));
}

/** The fastest of the candidates; each is timed several times in turn, and its best time counts. */
function tried(fma: boolean): Tile {
  const run = trial.run as (tile: Tile) => number;
  const best = TILES.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 6; round++) {
    TILES.forEach((tile, i) => {
      best[i] = Math.min(best[i], run(tile));
    });
  }
  const winner = TILES[best.indexOf(Math.min(...best))];
  new Cache().write(cacheKey(fma), new TextEncoder().encode(tileName(winner)));
  return winner;
}
