/**
 * The choice of register tile for products of many rows. Which one is fastest depends on how well the engine allocates
 * registers, so the first product on a machine tries each for a few milliseconds and keeps the winner in the user's
 * cache; a page of a browser, which has none, keeps it as long as it is open. `NINA_TILE`, as in "4x8x512", overrides
 * it.
 *
 * Results never depend on the choice, bit for bit: every tile adds the terms of an element in the order of k.
 */
import { Cache, engine, processorModel, setting } from "../../platform/node.ts";
import { unscoped } from "../../scope.ts";
import { sizeOf } from "../../shape.ts";
import { Tensor } from "../../tensor.ts";
import { usesFma } from "../kernels/engine.ts";
import { CpuStorage } from "../storage.ts";
import { manyRowsWasm } from "./many-rows.ts";
import { REGISTER_TILES, type RegisterTile, tileName, tileNamed } from "./register-tile.ts";

const chosen = new Map<boolean, RegisterTile>();

/**
 * The register tile for products whose weights are not packed yet. Tries the candidates at its first call on a machine.
 */
export function chosenTile(): RegisterTile {
  const fma = usesFma();
  let tile = chosen.get(fma);
  if (!tile) {
    tile = tileSetting() ?? remembered(fma) ?? tried(fma);
    chosen.set(fma, tile);
  }
  return tile;
}

/** The register tile that `NINA_TILE` names, null when it is not set. Throws for a name that is none. */
export function tileSetting(): RegisterTile | null {
  const name = setting("NINA_TILE");
  if (!name) return null;
  const tile = tileNamed(name);
  if (!tile)
    throw new Error(`NINA_TILE: expected one of ${REGISTER_TILES.map(tileName).join(", ")}, got ${name}`);
  return tile;
}

/** Runs `body` with products under that register tile. */
export function withTile<T>(tile: RegisterTile, body: () => T): T {
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
export const cacheKey = (fma: boolean): string => `tile: ${processorModel()} | ${engine} | fma ${fma}`;

/** The register tile that an earlier process chose on this machine; null when none did. */
export function remembered(fma: boolean): RegisterTile | null {
  const kept = new Cache().read(cacheKey(fma));
  return kept && tileNamed(new TextDecoder().decode(kept));
}

/** The fastest of the candidates; each is timed several times in turn, and its best time counts. */
function tried(fma: boolean): RegisterTile {
  const best = REGISTER_TILES.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 6; round++) {
    REGISTER_TILES.forEach((tile, i) => {
      best[i] = Math.min(best[i], trial(tile));
    });
  }
  const winner = REGISTER_TILES[best.indexOf(Math.min(...best))];
  new Cache().write(cacheKey(fma), new TextEncoder().encode(tileName(winner)));
  return winner;
}

/** Milliseconds of three products that fit the second cache, with B packed on the fly. */
function trial(tile: RegisterTile): number {
  const [M, N, K] = [48, 96, 256];
  const [a, b, out] = [
    [M, K],
    [K, N],
    [M, N],
  ].map((shape) => {
    const x = unscoped(() => Tensor.over(CpuStorage.allocated(sizeOf(shape), "float32"), shape));
    x.data.fill(0);
    return x;
  });
  const ready = manyRowsWasm({ out, a, b, M, N, K }, tile);
  ready();
  const start = performance.now();
  for (let i = 0; i < 3; i++) ready();
  const time = performance.now() - start;
  for (const x of [a, b, out]) x.dispose();
  return time;
}
