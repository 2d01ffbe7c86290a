/** Node's form of what platform.ts describes. */
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";
import { crc32 as zlibCrc32 } from "node:zlib";
import type { Memory, RunningWorker } from "./platform.ts";

export { isReplaceable, writeFileAtomic, writeFileInTurns } from "./files/atomic-write.ts";
export { Cache, userCacheFolder } from "./files/cache.ts";
export { makeFolder } from "./files/make-folder.ts";
export { openFile } from "./files/open-file.ts";
export { readText, readWhole } from "./files/regular-file.ts";

export const platformName = "Node";

export const engine: string = `V8 ${process.versions.v8}`;

export const processorModel = (): string | undefined => cpus()[0]?.model;

export const setting = (name: string): string | undefined => process.env[name];

/**
 * Relaxed SIMD is on by default from V8 11.4. Node 20 has 11.3, where it is behind a flag that later versions reject.
 */
export function allowRelaxedSimd(): void {
  if (engine.startsWith("V8 11.3.")) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/**
 * Runs `body` with the optimising compiler for WebAssembly. V8 first compiles a function in a hurry (Liftoff, about
 * five times slower code) and replaces it after some calls, but never in the middle of one: the first seconds of a
 * program would run slow kernels. Only what `body` compiles is concerned: other WebAssembly in the process, such as the
 * simulator, keeps its quick start.
 */
export function optimising<T>(body: () => T): T {
  v8.setFlagsFromString("--no-liftoff");
  try {
    return body();
  } finally {
    v8.setFlagsFromString("--liftoff");
  }
}

export const crc32 = (bytes: Uint8Array, before = 0): number => zlibCrc32(bytes, before);

export const newMemory = (most: number): Memory =>
  new WebAssembly.Memory({ initial: 1, maximum: most, shared: true });

export const whyNoWorkers = (): string | null => null;

export function startWorker<T>(
  work: (start: T) => void,
  start: T,
  ended: (why: string) => void,
): RunningWorker {
  const script = `(${work})(require("node:worker_threads").workerData);`;
  const worker = new Worker(script, { eval: true, workerData: start, execArgv: [] });
  worker.once("error", (error) => ended(String(error)));
  worker.once("exit", (code) => ended(`it ended with code ${code}`));
  worker.unref();
  return worker;
}

export function sleepWhile(words: Int32Array, at: number, value: number, milliseconds: number): void {
  Atomics.wait(words, at, value, milliseconds);
}

export const beside = (path: string, name: string): string => join(dirname(path), name);

/** Gives Node what browsers have, `navigator.gpu`, if the package "webgpu" (Dawn) is installed. */
export async function findWebGpu(): Promise<string | null> {
  if (typeof navigator !== "undefined" && navigator.gpu) return null;
  const name = "webgpu"; // a variable: neither compiler nor bundler shall look for a package that is optional
  try {
    const { create, globals } = await import(name);
    Object.assign(globalThis, globals);
    const gpu = create(process.platform === "linux" ? ["backend=vulkan"] : []);
    if (typeof navigator === "undefined")
      Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
    else Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
    return null;
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    return `the optional package "webgpu" is not installed, or does not load (npm install webgpu): ${reason}`;
  }
}
