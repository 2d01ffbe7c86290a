import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { TILES, tileName } from "../../../core/kernels/wasm/tile.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-tile-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The tile a new process chooses. */
function choice(env: Record<string, string>): string {
  const script = `
    import "./core/kernels/wasm/gemm.ts";
    import { gemmTile, tileName } from "./core/kernels/wasm/tile.ts";
    console.log(tileName(gemmTile()));`;
  const args = ["--import", "tsx", "--input-type=module", "--eval", script];
  const options = {
    encoding: "utf8",
    env: { ...process.env, NINA_TILE: "", XDG_CACHE_HOME: folder, ...env },
  } as const;
  return execFileSync(process.execPath, args, { ...options, stdio: "pipe" }).trim();
}

it("the tile is tried once, kept in the cache folder, and overridden by NINA_TILE", () => {
  const names = TILES.map(tileName);
  const first = choice({});
  expect(names).toContain(first);
  const kept = JSON.parse(readFileSync(join(folder, "nina-ts", "tiles.json"), "utf8"));
  expect(Object.values(kept)).toEqual([first]);
  expect(choice({})).toBe(first);
  const other = names.find((name) => name !== first) as string;
  expect(choice({ NINA_TILE: other })).toBe(other);
  // A cache folder that cannot be made does not stop the product.
  expect(names).toContain(choice({ XDG_CACHE_HOME: join(folder, "nina-ts", "tiles.json") }));
  expect(() => choice({ NINA_TILE: "3x3" })).toThrow(/NINA_TILE: expected one of 4x8x512.*got 3x3/);
});
