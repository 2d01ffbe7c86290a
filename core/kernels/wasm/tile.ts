/**
 * The choice of tile for matrix products. Which one is fastest depends on how well the engine allocates registers, so
 * the first product on a machine tries each for a few milliseconds and keeps the winner in a file of the user's cache
 * folder. `NINA_TILE`, as in "4x8x512", overrides it.
 *
 * Results never depend on the choice, bit for bit: every tile adds the terms of an element in the order of k.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { cpus, homedir } from "node:os";
import { dirname, join } from "node:path";
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

function tileNamed(name: string | undefined): Tile | null {
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
    tile = process.env.NINA_TILE ? named(process.env.NINA_TILE) : (remembered(fma) ?? tried(fma));
    chosen.set(fma, tile);
  }
  return tile;
}

function named(name: string): Tile {
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

/** No such file, or no right to it. */
function isOutOfReach(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "EROFS"].includes(
    (error as NodeJS.ErrnoException).code ?? "",
  );
}

/** Where choices are kept: one line per processor, engine and flavour of multiply-add. */
function cacheFile(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "nina-ts", "tiles.json");
}

const machine = (fma: boolean): string => `${cpus()[0]?.model} | V8 ${process.versions.v8} | fma ${fma}`;

function choices(): Record<string, string> {
  const file = cacheFile();
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (isOutOfReach(error)) return {};
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${file}: expected JSON with the tiles chosen so far; delete the file to choose anew`, {
      cause,
    });
  }
}

const remembered = (fma: boolean): Tile | null => tileNamed(choices()[machine(fma)]);

/** The fastest of the candidates; each is timed several times in turn, and its best time counts. */
function tried(fma: boolean): Tile {
  const run = trial.run as (tile: Tile) => number;
  const best = TILES.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 6; round++) {
    TILES.forEach((tile, i) => {
      best[i] = Math.min(best[i], run(tile));
    });
  }
  const winner = best.indexOf(Math.min(...best));
  remember(fma, TILES[winner]);
  return TILES[winner];
}

/** Keeps a choice. Where the cache folder cannot be written, the next process tries again, and a warning says so. */
function remember(fma: boolean, tile: Tile): void {
  const file = cacheFile();
  const draft = `${file}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(draft, `${JSON.stringify({ ...choices(), [machine(fma)]: tileName(tile) }, null, 2)}\n`);
    renameSync(draft, file);
  } catch (error) {
    if (!isOutOfReach(error)) throw error;
    process.emitWarning(`the tile chosen for matrix products cannot be kept: ${(error as Error).message}`);
  }
}
