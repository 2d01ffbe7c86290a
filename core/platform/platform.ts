import type { ByteSource } from "../formats/byte-source.ts";

/**
 * What core needs of the program it runs in: its engine, memory, threads, files and switches. node.ts is this for Node
 * and browser.ts for a page or a worker of one; nothing else in core, nn and flows knows where it runs. Sources import
 * node.ts, and the field "browser" of package.json puts browser.ts in its place when a bundler builds for browsers.
 */
export interface Platform {
  readonly platformName: "Node" | "browser";

  /** The JavaScript engine and its version, as in "V8 11.3.244.8". */
  readonly engine: string;
  /** Which processor it is; undefined where nobody says so. */
  processorModel(): string | undefined;
  /** A switch of the environment such as NINA_TILE; undefined when it is not set. Read when it is asked for. */
  setting(name: string): string | undefined;
  /** Turns relaxed SIMD on in an engine that has it, but not without being asked. */
  allowRelaxedSimd(): void;
  /** Runs `body` with the optimising compiler for WebAssembly, where there is a choice. */
  optimising<T>(body: () => T): T;
  /** CRC-32 of the bytes (ISO 3309), carried on from that of those before them. */
  crc32(bytes: Uint8Array, before?: number): number;

  /**
   * Memory of up to `most` pages, for views that outlive its growth: shared, and beginning with one page. Where it
   * cannot be shared, it has all its pages from the start.
   */
  newMemory(most: number): Memory;
  /** Why all work is done on this thread; null where `startWorker` starts others. */
  whyNoWorkers(): string | null;
  /** Starts a thread that does `work` on `start`. `ended` is told why, should it end. It keeps no process alive. */
  startWorker<T>(work: (start: T) => void, start: T, ended: (why: string) => void): RunningWorker;
  /** Sleeps while a shared word has that value, for a time; returns at once on a thread that must not sleep. */
  sleepWhile(words: Int32Array, at: number, value: number, milliseconds: number): void;

  /** Opens a regular file for positioned reads; dispose it (`using`) to close the handle. */
  openFile(path: string): ByteSource;
  readWhole(path: string, most: number): Uint8Array<ArrayBuffer>;
  readText(path: string, most: number): string;
  /** The path of `name` in the folder in which `path` lies. */
  beside(path: string, name: string): string;
  writeFileAtomic(path: string, content: Content): void;
  writeFileInTurns(path: string, content: Iterable<Uint8Array>): Promise<void>;
  isReplaceable(path: string): boolean;
  makeFolder(path: string): void;
  userCacheFolder(): string | null;
  readonly Cache: new (folder?: string | null) => EntryCache;

  /** Sees that there is `navigator.gpu`; says why not when there is none. */
  findWebGpu(): Promise<string | null>;
}

/**
 * A `WebAssembly.Memory`: that name comes with the types of browsers or of Node, which not everybody has who uses ours.
 */
export interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export interface RunningWorker {
  terminate(): Promise<unknown>;
}

/** What a file is made of; chunks are written as they come, so they may be produced one by one. */
export type Content = Uint8Array | string | Iterable<Uint8Array>;

/** What takes time to make and can be made again, by keys of any text. */
export interface EntryCache {
  /** null: nothing is kept. */
  readonly folder: string | null;
  read(key: string): Uint8Array | null;
  write(key: string, content: Uint8Array): void;
  drop(key: string): void;
  entries(): CacheEntry[];
  clear(): void;
}

/** An entry as the folder shows it. */
export interface CacheEntry {
  /** Path of its file. */
  readonly path: string;
  readonly bytes: number;
  /** When it was last written or read, milliseconds since 1970. */
  readonly used: number;
}
