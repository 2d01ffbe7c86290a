/**
 * The user's cache: what takes time to make and can be made again, kept between processes. It is never needed: what
 * cannot be read counts as absent, what cannot be written is made anew by the next process, and one warning says so.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { crc32 } from "node:zlib";
import type { CacheEntry, EntryCache } from "../platform.ts";
import { makeFolder } from "./make-folder.ts";
import { readWhole } from "./regular-file.ts";

/** Most bytes that a cache folder holds: the compiled scenes of LIBERO's 130 tasks fit. The oldest entries give way. */
const MOST_BYTES = 6 * 2 ** 30;

/** A single entry: twice the largest model of LIBERO. */
const MOST_ENTRY_BYTES = 2 ** 29;

const MAGIC = "nina-ts cache 1\n";

/** `$XDG_CACHE_HOME` or `~/.cache`, then `nina-ts`; null where neither is an absolute path. */
export function userCacheFolder(): string | null {
  const { XDG_CACHE_HOME = "" } = process.env;
  if (isAbsolute(XDG_CACHE_HOME)) return join(XDG_CACHE_HOME, "nina-ts");
  const home = homeFolder();
  return isAbsolute(home) ? join(home, ".cache", "nina-ts") : null;
}

/** Empty for a user without a home. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}

/**
 * A folder of entries, each a file that holds its own key and a checksum: a damaged or renamed file is told from a good
 * one. Processes may share a folder; none fails because of what another does to it.
 */
export class Cache implements EntryCache {
  /** null: nothing is kept. */
  readonly folder: string | null;

  constructor(folder: string | null = userCacheFolder()) {
    this.folder = folder;
  }

  /** What was kept under that key; null when there is nothing, or nothing sound: then it is removed. */
  read(key: string): Uint8Array | null {
    const path = this.#pathOf(key);
    if (path === null || !exists(path)) return null;
    try {
      const content = unwrap(readWhole(path, MOST_ENTRY_BYTES), key);
      if (content) {
        const now = new Date();
        utimesSync(path, now, now);
        return content;
      }
      warnOnce(`cache: ${path} is damaged; it is made again`);
    } catch (error) {
      if (!exists(path)) return null; // another process has removed it
      warnOnce(`cache: ${(error as Error).message}; it is made again`);
    }
    this.drop(key);
    return null;
  }

  /** Keeps `content` under that key, and makes room for it. */
  write(key: string, content: Uint8Array): void {
    const path = this.#pathOf(key);
    if (path === null || content.length > MOST_ENTRY_BYTES) return;
    try {
      makeFolder(this.folder as string);
      makeRoom(this.entries(), content.length);
      const draft = `${path}.${process.pid}`;
      try {
        // Not flushed to disk: what a crash leaves of it does not bear out its checksum.
        const fd = openSync(draft, "w");
        for (const part of wrap(key, content)) writeFileSync(fd, part);
        closeSync(fd);
        renameSync(draft, path); // replaces whatever has taken its place, be it a link or a pipe
      } finally {
        rmSync(draft, { force: true });
      }
    } catch (error) {
      warnOnce(`cache: ${this.folder} cannot be used: ${(error as Error).message}`);
    }
  }

  /** Removes what is kept under that key. */
  drop(key: string): void {
    const path = this.#pathOf(key);
    if (path) remove(path);
  }

  /** All files of the folder, also what an earlier version or a process that was killed has left there. */
  entries(): CacheEntry[] {
    const { folder } = this;
    if (folder === null) return [];
    return namesIn(folder).flatMap((name) => {
      const path = join(folder, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat?.isFile() ? [{ path, bytes: stat.size, used: stat.mtimeMs }] : [];
    });
  }

  /** Removes all files of the folder. */
  clear(): void {
    for (const { path } of this.entries()) rmSync(path, { force: true });
  }

  #pathOf(key: string): string | null {
    const name = createHash("sha256").update(key).digest("hex").slice(0, 32);
    return this.folder === null ? null : join(this.folder, `${name}.cache`);
  }
}

/** The key's length, the content's CRC-32 and the key, then the content. */
function wrap(key: string, content: Uint8Array): Uint8Array[] {
  const name = Buffer.from(key);
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32LE(name.length, 0);
  numbers.writeUInt32LE(crc32(content), 4);
  return [Buffer.concat([Buffer.from(MAGIC), numbers, name]), content];
}

/** The content of a sound entry of that key, else null. */
function unwrap(file: Uint8Array, key: string): Uint8Array | null {
  const name = Buffer.from(key);
  const start = MAGIC.length + 8 + name.length;
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (bytes.length < start || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
  if (
    bytes.readUInt32LE(MAGIC.length) !== name.length ||
    !bytes.subarray(start - name.length, start).equals(name)
  )
    return null;
  const content = bytes.subarray(start);
  return crc32(content) === bytes.readUInt32LE(MAGIC.length + 4) ? content : null;
}

/** Removes the entries that were not used for longest until `bytes` more fit. */
function makeRoom(entries: readonly CacheEntry[], bytes: number): void {
  let total = entries.reduce((sum, entry) => sum + entry.bytes, bytes);
  for (const entry of [...entries].sort((a, b) => a.used - b.used)) {
    if (total <= MOST_BYTES) return;
    remove(entry.path);
    total -= entry.bytes;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not there yet, or nothing that can be looked into
  }
}

const exists = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // no right to look, or a file where a folder should be
  }
};

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    warnOnce(`cache: ${(error as Error).message}`);
  }
}

const warned = new Set<string>();

/** A process tells the same thing once. */
function warnOnce(message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  console.error(message);
}
