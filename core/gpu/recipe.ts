/** An op's formula as kernels to launch one after the other. */
import type { Source } from "../formula/expr.ts";
import type { Operand } from "../formula/launch.ts";
import { launchesOf } from "../formula/loops.ts";
import type { KernelText } from "./gpu.ts";
import { printKernel } from "./print.ts";
import { forGpu } from "./split.ts";

export interface RecipeStep {
  readonly kernel: KernelText;
  /** What its arrays are. */
  readonly arrays: readonly From[];
  /** Which of the op's params it takes after them. */
  readonly params: readonly number[];
}

/** An input of the op, or the result of an earlier step; null for one without elements. */
export type From = { readonly input: number } | { readonly step: number } | null;

/** What computes some results: steps, and which of them makes each result. */
export interface Recipe {
  readonly steps: readonly RecipeStep[];
  readonly results: readonly number[];
}

/** The kernels for the results of an op. Errors call them by `name`; `sizes` are those of its inputs. */
export function recipeOf(results: readonly Operand[], sizes: readonly number[], name: string): Recipe {
  const last = forGpu(results);
  const stages = new Map(last.flatMap(launchesOf).map((stage) => [stage.source.name, stage]));
  const order = [...stages.values()].filter(({ size }) => size > 0);
  const places = new Map(order.map(({ source }, i) => [source.name, i]));
  const fromOf = ({ input, name }: Source): From => {
    if (input !== null) return { input };
    const step = places.get(name);
    return step === undefined ? null : { step };
  };
  const sizeOf = (from: From): number =>
    from === null ? 0 : "input" in from ? sizes[from.input] : order[from.step].size;
  const steps = order.map((stage, i) => {
    const { source, functions, sources, params } = printKernel(stage);
    const which = order.length > 1 ? `, launch ${i + 1} of ${order.length}` : "";
    const arrays = sources.map(fromOf);
    const kernel = {
      name: `${name}${which}`,
      source,
      functions,
      size: stage.size,
      // An array without elements, as a sum over nothing reads, is given one.
      arrays: arrays.map((from) => Math.max(1, sizeOf(from))),
    };
    return { kernel, arrays, params };
  });
  return { steps, results: last.map(({ source }) => places.get(source.name) as number) };
}
