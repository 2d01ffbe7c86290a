import { checkFunction, checkpoint, refuse, type Tensor } from "../core/index.ts";
import { withSameMasks } from "./dropout.ts";
import { Module } from "./module.ts";
import { withEffectsOnce } from "./side-effects.ts";

/**
 * f(x), where f is a part of a model that reads the parameters of `module` and nothing else that is trained. What it
 * computes on the way is not kept but computed once more on the way back, with the same dropout masks, and leaves
 * nothing behind the second time: see `checkpoint`.
 */
export function recomputed(module: Module, f: (x: Tensor) => Tensor, x: Tensor): Tensor {
  if (!(module instanceof Module)) refuse("recomputed", "a Module", module);
  checkFunction(f, "recomputed", "f");
  return checkpoint(withEffectsOnce(withSameMasks(f)), [x], module.parameters());
}
