import type { ByteSource } from "../../core/index.ts";

/**
 * What the simulator and the policies need of the program they run in, beside what core needs (core/platform): files by
 * their paths, digests, turns of the event loop. node.ts is this for Node and browser.ts for a page or a worker of one.
 * Sources import node.ts; where a bundler builds for browsers, the field "browser" of package.json puts browser.ts in
 * its place.
 */
export interface Platform {
  /** Opens a regular file for positioned reads; dispose it (`using`) to close it. */
  openFile(path: string): ByteSource;
  /** All bytes of a regular file of at most `most` bytes. @throws FormatError for any other. */
  readWhole(path: string, most: number): Uint8Array<ArrayBuffer>;
  /** The same as text in UTF-8, without a byte-order mark. */
  readText(path: string, most: number): string;
  /** Whether there is a file or a folder. */
  exists(path: string): boolean;
  isFolder(path: string): boolean;
  /** What is another text whenever a file has changed; null where there is none, or where that cannot be told. */
  stampOfFile(path: string): string | null;
  /** Names of the files and folders in a folder, in no particular order. */
  listFolder(path: string): string[];

  /** Of `node:path`. */
  basename(path: string): string;
  dirname(path: string): string;
  extname(path: string): string;
  isAbsolute(path: string): boolean;
  join(...parts: string[]): string;
  relative(from: string, to: string): string;
  resolve(...parts: string[]): string;
  readonly sep: string;

  /** SHA-256 of what it is going to be given. */
  sha256(): Digest;
  /** Lets in what waits for its turn: timers, messages, other work. */
  nextTurn(): Promise<void>;
  /** Whatever somebody threw, as short words. */
  describeThrown(thrown: unknown): string;
  /** Lets the engine put small WebAssembly functions into their callers, where it has to be asked. */
  allowInlining(): void;
}

/** A digest under way. */
export interface Digest {
  /** Text counts as UTF-8. */
  update(data: Uint8Array | string): Digest;
  /** Another one that goes on from here. */
  copy(): Digest;
  /** Of all that was given: 32 bytes. Nothing can be added afterwards. */
  bytes(): Uint8Array;
  /** The same in hexadecimal. */
  hex(): string;
}
