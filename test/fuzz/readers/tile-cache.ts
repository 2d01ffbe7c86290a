import { dirname } from "node:path";
import { cacheKey, remembered } from "../../../core/cpu/product/choose-tile.ts";
import { REGISTER_TILES, tileName } from "../../../core/cpu/product/register-tile.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { cacheContent, cacheFile } from "./cache.ts";

const seeds = REGISTER_TILES.map((tile) => cacheFile(cacheKey(true), Buffer.from(tileName(tile))));

/** The choice of tile that an earlier process has kept. */
const reader: Reader = {
  seeds: seeds.map(({ file, bytes }) => ({ file: `nina-ts/${file}`, bytes })),
  mutations: [cacheContent],
  prepare: () => (path) => {
    process.env.XDG_CACHE_HOME = dirname(dirname(path));
    const tile = remembered(true);
    if (tile && !REGISTER_TILES.includes(tile)) throw new BrokenLaw("a tile that does not exist");
    return tile && tileName(tile);
  },
};

export default reader;
