import type { Random } from "../../core/index.ts";
import { inDType, type Module } from "../../nn/index.ts";
import type { Instances } from "./trial.ts";

/** What `make` builds three times over; `fill` gives the first its numbers, and the others get the same. */
export function instancesOf<T extends Module>(make: () => T, fill: (module: T) => void): Instances<T> {
  const exact = inDType("float64", make);
  fill(exact);
  const state = exact.stateDict();
  return {
    exact,
    twin: inDType("float64", make).load(state),
    fast: inDType("float32", make).load(state),
  };
}

/** Some part of each instance, such as a layer. */
export const partOf = <T, P>({ exact, twin, fast }: Instances<T>, part: (whole: T) => P): Instances<P> => ({
  exact: part(exact),
  twin: part(twin),
  fast: part(fast),
});

export function disposeAll({ exact, twin, fast }: Instances<Module>): void {
  for (const module of [exact, twin, fast]) module.dispose();
}

/**
 * Draws all parameters, away from special starting points such as zero shifts and orthogonal matrices: layers that
 * start as the identity would test nothing. `spread` is how far, for a vector; a deep flow bears less than a single
 * layer. All are numbers of float32, so that both precisions see the same.
 */
export function drawParameters(module: Module, random: Random, spread: number): void {
  module.init(random);
  for (const { data, shape } of module.parameters()) {
    // A random matrix of N columns magnifies √N times what one of its entries does.
    const size = spread / Math.sqrt(shape.length > 1 ? (shape.at(-1) as number) : 1);
    for (let i = 0; i < data.length; i++) data[i] += size * random.normal();
  }
  for (const [, { data }] of module.namedTensors())
    for (let i = 0; i < data.length; i++) data[i] = Math.fround(data[i]);
}
