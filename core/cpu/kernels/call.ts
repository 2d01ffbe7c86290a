import type { Kernel } from "./engine.ts";
import { runTiles } from "./threads.ts";

/**
 * A call made ready: runs `tiles` tiles of a kernel, on several threads when there are some and the work is worth it.
 * `cost` is the time the work takes one thread, in microseconds, roughly.
 */
export function wasmCall(kernel: Kernel, args: readonly number[], tiles: number, cost: number): () => void {
  return () => runTiles(kernel, args, tiles, cost);
}
