/**
 * A browser's form of what platform.ts describes: no files, nothing kept, and threads only where the page is isolated.
 */
import type { ByteSource } from "../formats/byte-source.ts";
import { FormatError } from "../formats/format-error.ts";
import type { CacheEntry, EntryCache, Memory, RunningWorker } from "./platform.ts";

export { crc32 } from "./crc32.ts";

// Classes of core have methods of this name, and not every browser knows it yet (TC39, explicit resource management).
const symbols = Symbol as { dispose?: symbol };
symbols.dispose ??= Symbol("Symbol.dispose");

export const platformName = "browser";

/** The words of the user agent that name the engine, as in "Chrome/140.0.0.0". */
export const engine: string =
  globalThis.navigator?.userAgent.match(/(Chrome|Firefox|Version)\/[\d.]+/)?.[0] ?? "unknown";

export const processorModel = (): undefined => undefined;

export const setting = (_name: string): undefined => undefined;

/** A browser that has relaxed SIMD needs no flag for it. */
export function allowRelaxedSimd(): void {}

/** Pages cannot choose a compiler: kernels are slow until the engine has seen enough calls of them. */
export const optimising = <T>(body: () => T): T => body();

/** Where shared memory is refused: 1 GiB, or what of it the browser grants. */
const UNSHARED_PAGES = 16_384;

/**
 * Browsers give shared memory to any page, though only an isolated one may hand it to a worker. Memory that is not
 * shared would take the numbers away from all arrays that look at it when it grows, so it does not grow.
 */
export function newMemory(most: number): Memory {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: most, shared: true });
  } catch {
    for (let pages = Math.min(UNSHARED_PAGES, most); ; pages /= 2) {
      try {
        return new WebAssembly.Memory({ initial: pages, maximum: pages });
      } catch (refusal) {
        if (pages < UNSHARED_PAGES / 64) throw refusal;
      }
    }
  }
}

export const whyNoWorkers = (): string | null =>
  globalThis.crossOriginIsolated
    ? null
    : "threads share memory, which browsers allow in isolated pages only: serve the page with the headers " +
      "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";

/** A worker takes its messages between two tasks, and `work` is the only one it ever has. */
export function startWorker<T>(
  work: (start: T) => void,
  start: T,
  ended: (why: string) => void,
): RunningWorker {
  const script = new Blob([`onmessage = ({ data }) => (${work})(data);`], { type: "text/javascript" });
  const url = URL.createObjectURL(script);
  const worker = new Worker(url);
  worker.onerror = ({ message }) => ended(message);
  worker.postMessage(start);
  return {
    async terminate() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

/** Workers may sleep; the thread that draws the page may not. */
export function sleepWhile(words: Int32Array, at: number, value: number, milliseconds: number): void {
  if (typeof document === "undefined") Atomics.wait(words, at, value, milliseconds);
}

function noFiles(path: string): never {
  throw new FormatError(
    path,
    "bytes, as in openSafetensors(bytesSource(name, fetchedBytes))",
    "a path, and a browser opens no files by path",
  );
}

export const openFile = (path: string): ByteSource => noFiles(path);
export const readWhole = (path: string): Uint8Array<ArrayBuffer> => noFiles(path);
export const readText = (path: string): string => noFiles(path);

function noWriting(path: string): never {
  throw new Error(`${path}: cannot be written: a browser has no files`);
}

export const writeFileAtomic = (path: string): void => noWriting(path);
export const writeFileInTurns = async (path: string): Promise<void> => noWriting(path);
export const isReplaceable = (path: string): boolean => noWriting(path);
export const makeFolder = (path: string): void => noWriting(path);

export const beside = (path: string, name: string): string => path.replace(/[^/]*$/, name);

export const userCacheFolder = (): null => null;

/** Keeps nothing: what was found out in a page is found out again in the next. */
export class Cache implements EntryCache {
  readonly folder = null;

  read(): null {
    return null;
  }

  write(): void {}

  drop(): void {}

  entries(): CacheEntry[] {
    return [];
  }

  clear(): void {}
}

export const findWebGpu = async (): Promise<string | null> =>
  navigator.gpu ? null : "this browser offers no WebGPU, or not to pages without https";
