/** The only door to core: other folders import nothing deeper. */
import * as ops from "./ops/index.ts";
import { Tensor } from "./tensor.ts";

export { type AdamWStep, adamWStep } from "./adamw-step.ts";
export { type GradOptions, grad, jacobian, jvp, vjp } from "./autograd.ts";
export { Cache, type CacheEntry, userCacheFolder } from "./cache.ts";
export {
  checkFinite,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPositive,
  checkShare,
  isForeign,
  markCopy,
  refuse,
} from "./check.ts";
export { checkpoint } from "./checkpoint.ts";
export {
  type CliOption,
  type CliSchema,
  helpText,
  parseCli,
  runMain,
  UsageError,
  type Values,
} from "./cli.ts";
export { heapUsage, poisonFreed } from "./cpu/heap.ts";
export { engineInfo } from "./cpu/kernels/engine.ts";
export { setThreads, spinning, threads } from "./cpu/kernels/threads.ts";
export { tileSetting } from "./cpu/kernels/tile.ts";
export * from "./formats/index.ts";
export { type FrozenFormat, FrozenWeights } from "./frozen-weights.ts";
export { lazily, misfit, setHost, toHost } from "./host.ts";
export type { Nested } from "./nested.ts";
export { isTracked, noGrad, plainKernels, type Step, type Watch, watchKernels, withGradients } from "./op.ts";
export { concat } from "./ops/concat.ts";
export type { Triangle } from "./ops/triangular-solve.ts";
export { checkWindow, type Window } from "./ops/unfold.ts";
export { Plan } from "./plan.ts";
export { Random, type RandomState } from "./random.ts";
export { Scope, tidy, unscoped } from "./scope.ts";
export { checkShape, type Shape, sameShape, showShape, sizeOf } from "./shape.ts";
export { checkDType, checkTensor, type DType, Tensor, type TensorData } from "./tensor.ts";

for (const [name, op] of Object.entries(ops) as [string, (x: Tensor, ...rest: unknown[]) => unknown][]) {
  const arguments_ = op.length - 1;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      // An argument that is not read, as in x.softmax(0), would be a wrong result.
      if (rest.length > arguments_)
        throw new Error(`${name}: expected ${arguments_} arguments at most, got ${rest.length}`);
      return op(this, ...rest);
    },
  });
}
