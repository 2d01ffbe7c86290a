/**
 * Modules, layers, optimisers and captured training steps.
 * @module nina-ts/nn
 */
export { Adam, type AdamOptions, AdamW } from "./adam.ts";
export { MultiheadAttention } from "./attention.ts";
export { BatchNorm, type BatchNormOptions } from "./batch-norm.ts";
export { clipGradNorm, clipGradValue, type Gradients, gradientNorm } from "./clip.ts";
export {
  Conv2d,
  type ConvOptions,
  ConvTranspose2d,
  type ConvTransposeOptions,
  DepthwiseConv2d,
} from "./conv.ts";
export {
  type CrossEntropyOptions,
  crossEntropy,
  logSoftmax,
  type NllOptions,
  nllLoss,
} from "./cross-entropy.ts";
export { type Batches, DataLoader, type Indexed, type LoaderOptions, type Position } from "./data-loader.ts";
export { DropPath } from "./drop-path.ts";
export { Dropout, withMasks } from "./dropout.ts";
export { Ema, emaDecay } from "./ema.ts";
export { Embedding } from "./embedding.ts";
export { EpochOrder } from "./epoch-order.ts";
export { freeze } from "./freeze.ts";
export { GroupNorm } from "./group-norm.ts";
export { InstanceNorm } from "./instance-norm.ts";
export { LayerNorm } from "./layer-norm.ts";
export { Linear } from "./linear.ts";
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  type KlOptions,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from "./losses.ts";
export { Mlp } from "./mlp.ts";
export { Module } from "./module.ts";
export { NonFiniteError } from "./non-finite.ts";
export { type NamedParameters, Optimizer, type Slot } from "./optimizer.ts";
export { outline } from "./outline.ts";
export {
  buffer,
  buildWithin,
  constant,
  fanIn,
  gaussian,
  type Initialiser,
  inDType,
  parameter,
  uniform,
  xavier,
} from "./parameter.ts";
export { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, type PoolOptions } from "./pooling.ts";
export { recomputed } from "./recomputed.ts";
export type { LossOptions, Reduction } from "./reduction.ts";
export { RMSNorm } from "./rms-norm.ts";
export { rotaryTables, rotate } from "./rotary.ts";
export {
  cosineSchedule,
  linearSchedule,
  oneStepLate,
  type Phase,
  type Ramp,
  type Schedule,
  type StepDecay,
  sequentialSchedule,
  stepSchedule,
  type TriStage,
  triStage,
  warmUp,
} from "./schedule.ts";
export { forInference, storedAs, weightParameter } from "./sealed.ts";
export { Lambda, type Layer, Sequential } from "./sequential.ts";
export { SGD, type SgdOptions } from "./sgd.ts";
export { sinusoids } from "./sinusoids.ts";
export { summary } from "./summary.ts";
export { SwiGlu } from "./swiglu.ts";
export { type Loss, type StepResult, TrainingStep, type TrainingStepOptions } from "./training-step.ts";
