/**
 * What the kernels ask of the process they run in: its switches, its engine, its processor. Beside worker threads
 * (kernels/threads.ts) this is all that ties them to Node.
 */
import { cpus } from "node:os";
import v8 from "node:v8";

/** Switches of the environment. Each is read when it is asked for. */
export const settings = {
  /** `NINA_FMA=0`: multiply and add in two steps, as an engine without relaxed SIMD does. */
  fma: (): boolean => process.env.NINA_FMA !== "0",
  /** `NINA_TILE`: the tile of matrix products, as in "4x8x512"; empty or absent when the fastest is to be found. */
  tile: (): string | undefined => process.env.NINA_TILE,
};

/** Version of V8. */
export const engineVersion: string = process.versions.v8;

export const processorModel = (): string | undefined => cpus()[0]?.model;

/** Relaxed SIMD is on by default from V8 11.4. Node 20 has 11.3, where it is behind a flag that later versions reject. */
export function allowRelaxedSimd(): void {
  if (engineVersion.startsWith("11.3.")) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/**
 * Runs `body` with the optimising compiler for WebAssembly. V8 first compiles a function in a hurry (Liftoff, about five
 * times slower code) and replaces it after some calls, but never in the middle of one: the first seconds of a program would
 * run slow kernels. Only what `body` compiles is concerned: other WebAssembly in the process, such as the simulator, keeps
 * its quick start.
 */
export function optimising<T>(body: () => T): T {
  v8.setFlagsFromString("--no-liftoff");
  try {
    return body();
  } finally {
    v8.setFlagsFromString("--liftoff");
  }
}
