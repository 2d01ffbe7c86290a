import type { Kernel } from "./engine.ts";

/** Runs tiles 0 to `tiles` of a kernel. */
export function runTiles(kernel: Kernel, args: readonly number[], tiles: number, _cost: number): void {
  kernel.run(...args, 0, tiles);
}
