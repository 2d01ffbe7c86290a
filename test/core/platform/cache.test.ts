import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { Cache, userCacheFolder } from "../../../core/platform/files/cache.ts";

let folder: string;
let cache: Cache;
let said: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nina-ts-cache-"));
  cache = new Cache(join(folder, "cache"));
  said = vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const text = (content: Uint8Array | null) => content && Buffer.from(content).toString();
const only = () => join(folder, "cache", readdirSync(join(folder, "cache"))[0]);

test.prop([fc.array(fc.tuple(fc.string({ maxLength: 4 }), fc.uint8Array()), { maxLength: 8 })], {
  numRuns: 30,
})("what was written last under a key is read back", (writes) => {
  cache.clear();
  for (const [key, content] of writes) cache.write(key, content);
  for (const [key, content] of new Map(writes)) expect(Uint8Array.from(cache.read(key)!)).toEqual(content);
  expect(cache.entries()).toHaveLength(new Map(writes).size);
});

test.prop([fc.nat(), fc.integer({ min: 1, max: 255 })], { numRuns: 200 })(
  "no flipped bits are read as content",
  (at, flip) => {
    cache.write("key", Buffer.from("content"));
    const bytes = readFileSync(only());
    bytes[at % bytes.length] ^= flip;
    writeFileSync(only(), bytes);
    expect(cache.read("key")).toBeNull();
    expect(cache.entries()).toEqual([]);
  },
);

test("a file cut short, or renamed to another entry, is removed and told once", () => {
  cache.write("a", Buffer.from("of a"));
  const path = only();
  for (const length of [0, 3, 20, statSync(path).size - 1]) {
    cache.write("a", Buffer.from("of a"));
    writeFileSync(path, readFileSync(path).subarray(0, length));
    expect(cache.read("a")).toBeNull();
  }
  expect(said.mock.calls).toEqual([[`cache: ${path} is damaged; it is made again`]]);
  cache.write("a", Buffer.from("of a"));
  copyFileSync(path, join(folder, "copy"));
  cache.drop("a");
  cache.write("b", Buffer.from("of b"));
  copyFileSync(join(folder, "copy"), only());
  expect(cache.read("b")).toBeNull();
});

test("a pipe, a folder or a dangling link in an entry's place gives way", () => {
  for (const occupy of [
    (path: string) => execFileSync("mkfifo", [path]),
    (path: string) => mkdirSync(join(path, "inside"), { recursive: true }),
    (path: string) => symlinkSync("nowhere", path),
  ]) {
    cache.write("key", Buffer.from("old"));
    const path = only();
    rmSync(path);
    occupy(path);
    expect(cache.read("key")).toBeNull();
    cache.write("key", Buffer.from("new"));
    expect(text(cache.read("key"))).toBe("new");
  }
});

test("a folder that cannot be used is told once, and nothing is kept", () => {
  writeFileSync(join(folder, "file"), "");
  const blocked = new Cache(join(folder, "file"));
  const below = new Cache(join(folder, "file", "below"));
  for (const one of [blocked, below, new Cache("/proc/none"), new Cache(null)]) {
    for (let i = 0; i < 2; i++) {
      one.write("key", Buffer.from("x"));
      expect(one.read("key")).toBeNull();
    }
    expect(one.entries()).toEqual([]);
    one.clear();
  }
  expect(said).toHaveBeenCalledTimes(3);
});

test("the entries that were not used for longest make room", () => {
  for (const [i, name] of ["a", "b", "c"].entries()) {
    cache.write(name, Buffer.alloc(3 * 2 ** 20));
    const newest = cache.entries().sort((x, y) => y.used - x.used)[0];
    utimesSync(newest.path, i + 1, i + 1);
  }
  cache.read("a");
  // Files without content stand for what takes most of the space.
  const sparse = cache.entries().find(({ used }) => used === 2000)!.path;
  execFileSync("truncate", ["-s", "6G", sparse]);
  utimesSync(sparse, 2, 2);
  cache.write("d", Buffer.from("d"));
  expect(["a", "b", "c", "d"].map((key) => cache.read(key) !== null)).toEqual([true, false, true, true]);
});

test("two processes that find a damaged entry both go on", () => {
  const script = `
    import { Cache } from "./core/platform/files/cache.ts";
    import { writeFileSync } from "node:fs";
    const cache = new Cache(${JSON.stringify(join(folder, "cache"))});
    for (let i = 0; i < 300; i++) {
      cache.write("key", Buffer.alloc(5000));
      const { path } = cache.entries()[0] ?? {};
      if (path && i % 3 === 0) try { writeFileSync(path, "damaged"); } catch {}
      const content = cache.read("key");
      if (content && content.length !== 5000) throw new Error("half an entry");
    }`;
  const one = `"${process.execPath}" --import tsx --input-type=module --eval '${script}'`;
  execFileSync("bash", ["-c", `${one} & first=$!; ${one} && wait $first`], { stdio: "pipe" });
  expect(readdirSync(join(folder, "cache")).length).toBeLessThanOrEqual(1);
});

test("the folder is the user's, never one inside the working folder", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/caches");
  expect(userCacheFolder()).toBe("/caches/nina-ts");
  vi.stubEnv("HOME", "/home/me");
  for (const unusable of ["", "relative"]) {
    vi.stubEnv("XDG_CACHE_HOME", unusable);
    expect(userCacheFolder()).toBe("/home/me/.cache/nina-ts");
  }
  vi.stubEnv("HOME", "");
  expect(userCacheFolder()).toBeNull();
});
