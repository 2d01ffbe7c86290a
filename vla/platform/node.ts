/** Node's form of what platform.ts describes. */
import { createHash, type Hash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { inspect } from "node:util";
import v8 from "node:v8";
import type { Digest } from "./platform.ts";

export { existsSync as exists } from "node:fs";
export { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
export { setImmediate as nextTurn } from "node:timers/promises";
export { openFile, readText, readWhole } from "../../core/index.ts";

export const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** A file that changed less than this many milliseconds ago may change again without another time to show for it. */
const SETTLED = 2000;

/** From the file's place on its disk, its size and the times of its last change, of which a program can set but one. */
export function stampOfFile(path: string): string | null {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  const settled = BigInt(Date.now() - SETTLED) * 1_000_000n;
  if (!file?.isFile() || file.mtimeNs > settled || file.ctimeNs > settled) return null;
  return [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join(" ");
}

export const listFolder = (path: string): string[] => readdirSync(path);

export const sha256 = (): Digest => new NodeDigest(createHash("sha256"));

class NodeDigest implements Digest {
  readonly #hash: Hash;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  update(data: Uint8Array | string): this {
    this.#hash.update(data);
    return this;
  }

  copy(): Digest {
    return new NodeDigest(this.#hash.copy());
  }

  bytes(): Uint8Array {
    return this.#hash.digest();
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}

export const describeThrown = (thrown: unknown): string => inspect(thrown, { depth: 0 });

/**
 * V8 11.3, that of Node 20, can put small WASM functions into their callers, but only behind flags that later versions
 * reject. The budget lets it do so in large functions too.
 */
export function allowInlining(): void {
  if (!process.versions.v8.startsWith("11.3.")) return;
  v8.setFlagsFromString("--experimental-wasm-inlining");
  v8.setFlagsFromString("--wasm-inlining-budget=20000");
}
