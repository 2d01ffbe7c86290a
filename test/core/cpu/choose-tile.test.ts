import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { REGISTER_TILES, tileName } from "../../../core/cpu/product/register-tile.ts";
import { Cache } from "../../../core/platform/files/cache.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-tile-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The tile a new process chooses. */
function choice(env: Record<string, string>): string {
  const script = `
    import { chosenTile } from "./core/cpu/product/choose-tile.ts";
    import { tileName } from "./core/cpu/product/register-tile.ts";
    console.log(tileName(chosenTile()));`;
  const args = ["--import", "tsx", "--input-type=module", "--eval", script];
  const options = {
    encoding: "utf8",
    env: { ...process.env, NINA_TILE: "", XDG_CACHE_HOME: folder, ...env },
  } as const;
  return execFileSync(process.execPath, args, { ...options, stdio: "pipe" }).trim();
}

it("the tile is tried once, kept in the cache folder, and overridden by NINA_TILE", () => {
  const names = REGISTER_TILES.map(tileName);
  const first = choice({});
  expect(names).toContain(first);
  const kept = new Cache(join(folder, "nina-ts"));
  const [entry] = kept.entries();
  expect(kept.entries()).toHaveLength(1);
  expect(choice({})).toBe(first);
  const other = names.find((name) => name !== first) as string;
  expect(choice({ NINA_TILE: other })).toBe(other);
  // Neither a damaged entry nor a folder that cannot be made stops the product.
  writeFileSync(entry.path, "damaged");
  expect(names).toContain(choice({}));
  expect(names).toContain(choice({ XDG_CACHE_HOME: entry.path }));
  expect(names).toContain(choice({ XDG_CACHE_HOME: "", HOME: "" }));
  expect(() => choice({ NINA_TILE: "3x3" })).toThrow(/NINA_TILE: expected one of 4x8x512.*got 3x3/);
});
