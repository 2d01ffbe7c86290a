/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Tensors, gradients, random numbers, devices and file formats. The only door to core: other folders import nothing
 * deeper.
 * @module nina-ts
 */
import { cpu } from "./cpu/device.ts";
import { setDevice } from "./device.ts";
import "./methods.ts";

export { eachGradient, type GradOptions, grad, jacobian, jvp, vjp } from "./autograd.ts";
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
export { cpu } from "./cpu/device.ts";
export { heapUsage, poisonFreed } from "./cpu/heap.ts";
export {
  type Callable,
  type Func,
  Library,
  type Local,
  Nothing,
} from "./cpu/kernels/assembler.ts";
export { engineInfo } from "./cpu/kernels/engine.ts";
export { load, loadBoth, loadByte, loadHalf, loadLane, loadOne, loadTwo } from "./cpu/kernels/loads.ts";
export { setThreads, spinning, threads } from "./cpu/kernels/threads.ts";
export { double, F32, F32x4, F64, F64x2, I8x16, I32, I32x4, int } from "./cpu/kernels/values.ts";
export { plainKernels } from "./cpu/plain.ts";
export { tileSetting } from "./cpu/product/choose-tile.ts";
export {
  currentDevice,
  type Device,
  onDevice,
  type Program,
  type Step,
  type Storage,
  setDevice,
  type TensorView,
} from "./device.ts";
export { checkDType, type DType, type TensorData } from "./dtype.ts";
export { defineElementwise, type Elementwise, type Params, unbroadcast } from "./elementwise.ts";
export * from "./formats/index.ts";
export { Expr } from "./formula/expr.ts";
export { Index } from "./formula/indices.ts";
export { printed } from "./formula/js.ts";
export { each, max, Operand, sum } from "./formula/launch.ts";
export { type FrozenFormat, FrozenWeights } from "./frozen-weights.ts";
export { GpuDevice } from "./gpu/device.ts";
export { type GpuUsage, NO_USAGE } from "./gpu/gpu.ts";
export { isSoftware } from "./gpu/modes.ts";
export { lazyTensors, mismatchOf, readHost, setHost, toHost } from "./host-tensor.ts";
export { compiledKernels, type KernelListing } from "./kernel-list.ts";
export type { Nested } from "./nested.ts";
export {
  apply,
  defineOp,
  isTracked,
  noGrad,
  type Op,
  type Sample,
  sample,
  type Watch,
  watchKernels,
  withGradients,
} from "./op.ts";
export { DEVICE_NAMES, openDevice } from "./open-device.ts";
export { type AdamWStep, adamWStep } from "./ops/adamw.ts";
export { addInto } from "./ops/add-into.ts";
export { concat } from "./ops/concat.ts";
export { einsum } from "./ops/einsum.ts";
export { moveToward } from "./ops/move-toward.ts";
export { scaleInPlace } from "./ops/scale-in-place.ts";
export type { Sorted } from "./ops/sort.ts";
export { stack } from "./ops/stack.ts";
export type { Triangle } from "./ops/triangular-solve.ts";
export { checkWindow, type Window } from "./ops/unfold.ts";
export { Plan } from "./plan.ts";
export {
  Cache,
  isReplaceable,
  makeFolder,
  openFile,
  optimising,
  readText,
  readWhole,
  userCacheFolder,
  writeFileAtomic,
} from "./platform/node.ts";
export type { CacheEntry, Content } from "./platform/platform.ts";
export { Random, type RandomState } from "./random.ts";
export { Scope, unscoped } from "./scope.ts";
export { checkShape, type Shape, sameShape, showShape, sizeOf } from "./shape.ts";
export { checkTensor, Tensor } from "./tensor.ts";
export { tidy } from "./tidy.ts";
export { type Kept, rounded, WEIGHT_BYTES, type WeightFormat } from "./weight-format.ts";

setDevice(cpu);
