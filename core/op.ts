import { refuse } from "./check.ts";
import type { Computation, Device, Ready, Shared, Step, TensorView } from "./device.ts";
import type { DType } from "./dtype.ts";
import type { Expr } from "./formula/expr.ts";
import type { Operand } from "./formula/launch.ts";
import { capturing, type Recorder, refuseInCapture } from "./recorder.ts";
import { type Shape, sameShape, showShape, sizeOf } from "./shape.ts";
import { checkTensor, type Differentiable, Tensor } from "./tensor.ts";

/** One op: its shapes, what it means (`formula`), its gradient, and samples for the shared test suites. */
export interface Op<A> extends Computation<A>, Differentiable<A> {
  /** Shape of the output. Throws for inputs that do not fit. */
  shape(ins: readonly Tensor[], attrs: A): Shape;
  /** Element type of the output; that of the first input unless given. */
  dtype?(ins: readonly Tensor[], attrs: A): DType;
  /**
   * True when equal inputs may give different results from call to call: a plan never takes such a result for a
   * constant.
   */
  readonly volatile?: boolean;
  /** True when it means something for int32 tensors; other ops refuse them. */
  readonly integers?: boolean;
  /** What the op reads beside its inputs: a plan becomes one of its owners. */
  shared?(attrs: A): Shared;
  /** Inputs (by shape) and attributes for the gradient check and the kernel comparison. */
  readonly samples: readonly Sample<A>[];
}

export interface Sample<A> {
  readonly ins: readonly Shape[];
  readonly attrs?: A;
  /** Range of the input values, (−1, 1) unless given; for ops that are not smooth or defined everywhere. */
  readonly range?: readonly [number, number];
  /** Indices of the inputs that hold int32 indices below the given bound instead of numbers. */
  readonly indices?: Readonly<Record<number, number>>;
}

/** A sample with inputs of these shapes: `sample([3, 4], [4, 5])`, `{ ...sample([2, 5]), range: [-4, 4] }`. */
export const sample = (...ins: readonly Shape[]): { readonly ins: readonly Shape[] } => ({ ins });

const registry: Op<unknown>[] = [];

/** Registers an op with the shared suites. */
export function defineOp<A = void>(op: Op<A>): Op<A> {
  if (registry.some((other) => other.name === op.name))
    throw new Error(`defineOp: op ${op.name} is defined twice`);
  registry.push(op as Op<unknown>);
  return op;
}

/** Every op there is, for the suites that run over all of them. */
export const allOps: readonly Op<unknown>[] = registry;

/** An op that works in place, on inputs of one shape and type: without a gradient, and nothing that a plan repeats. */
export interface Update<A> extends Computation<A> {
  readonly updates: readonly number[];
  updated(operands: readonly Operand[], attrs: A, param: (i: number) => Expr): readonly Operand[];
  readonly samples: readonly Sample<A>[];
}

const updates: Update<unknown>[] = [];

/** Registers an op that works in place with the shared suites. */
export function defineUpdate<A>(op: Update<A>): Update<A> {
  updates.push(op as Update<unknown>);
  return op;
}

/** Every op that works in place. */
export const allUpdates: readonly Update<unknown>[] = updates;

const mode = { gradients: true };

/** Runs `body` without recording history. */
export function noGrad<T>(body: () => T): T {
  return recording(false, body);
}

/** Runs `body` recording history, also inside `noGrad`. */
export function withGradients<T>(body: () => T): T {
  return recording(true, body);
}

/** False inside `noGrad`. */
export const tracksGradients = (): boolean => mode.gradients;

function recording<T>(value: boolean, body: () => T): T {
  const before = mode.gradients;
  mode.gradients = value;
  try {
    return body();
  } finally {
    mode.gradients = before;
  }
}

/** Whether a gradient may be asked for through this tensor. */
export const isTracked = (x: Tensor): boolean => x.requiresGrad || x.node !== null;

/**
 * Runs an op on the device of its inputs: makes the output and records its history. While a plan is captured, the call
 * is written down for that instead, if its replays are to do it.
 */
export function apply<A>(op: Op<A>, ins: readonly Tensor[], attrs: A): Tensor {
  const dtype = outputType(op, ins, attrs);
  const { recorder } = capturing;
  if (recorder) return record(op, captured(recorder, op, ins, attrs, dtype), ins, attrs);
  const out = Tensor.reserve(op.shape(ins, attrs), dtype, commonDevice(op, ins));
  if (out.size > 0) applyInto(op, out, ins, attrs);
  return record(op, out, ins, attrs);
}

/** The result of an op while a plan is captured: without numbers if replays compute it. */
function captured<A>(recorder: Recorder, op: Op<A>, ins: readonly Tensor[], attrs: A, dtype: DType): Tensor {
  const shape = op.shape(ins, attrs);
  const device = commonDevice(op, ins);
  const size = sizeOf(shape);
  const promised = size > 0 ? recorder.promise(op, ins, device, size, dtype) : null;
  const out = promised ? Tensor.over(promised, shape) : Tensor.reserve(shape, dtype, device);
  if (promised) recorder.record({ op: op as Op<unknown>, out, ins, attrs });
  else if (size > 0) {
    capturing.recorder = null; // a kernel may look at numbers
    try {
      applyInto(op, out, ins, attrs);
    } finally {
      capturing.recorder = recorder;
    }
  }
  return out;
}

/** Does a computation alone: the result goes to `out`, which must fit. Neither history nor a plan knows of it. */
function applyInto<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): void {
  const ready = out.storage.device.prepare(op, out, ins, attrs);
  if (watcher.watch) timed(watcher.watch, ready, { op: op as Computation<unknown>, out, ins, attrs });
  else ready();
}

/**
 * Runs an op that works in place. Views of what it overwrites show the new numbers, and histories that led to them are
 * wrong.
 */
export function update<A>(op: Update<A>, ins: readonly Tensor[], attrs: A): void {
  refuseInCapture(op.name, "update after Plan.run, as TrainingStep does");
  for (const x of ins) checkTensor(x, op.name);
  const [first] = ins;
  if (ins.some((x) => x.dtype !== first.dtype || !sameShape(x.shape, first.shape))) {
    const list = ins.map((x) => `${x.dtype} ${showShape(x.shape)}`).join(", ");
    throw new Error(`${op.name}: expected tensors of one shape and dtype, got ${list}`);
  }
  commonDevice(op, ins);
  if (first.size > 0) applyInto(op, ins[op.updates[0]], ins, attrs);
}

/** Runs kernels that are ready one after the other; `steps` says what they are, for profiles. */
export function runAll(kernels: readonly Ready[], steps: readonly Step[]): void {
  const { watch } = watcher;
  for (let i = 0; i < kernels.length; i++) {
    if (watch) timed(watch, kernels[i], steps[i]);
    else kernels[i]();
  }
}

/**
 * Told of each kernel call and the milliseconds it took. Calls that a plan has joined are one, told of as the product
 * or as the last of the elementwise ops; `compiledKernels` names them all.
 */
export type Watch = (call: Step, ms: number) => void;

const watcher: { watch: Watch | null } = { watch: null };

/** Runs `body` and reports its kernel calls while it runs, those of plans too, for profiles. */
export function watchKernels<T>(watch: Watch, body: () => T): T {
  const before = watcher.watch;
  watcher.watch = watch;
  try {
    return body();
  } finally {
    watcher.watch = before;
  }
}

function timed(watch: Watch, ready: Ready, call: Step): void {
  const start = performance.now();
  watcher.watch = null; // a call that is made of others is one
  try {
    ready();
  } finally {
    watcher.watch = watch;
  }
  watch(call, performance.now() - start);
}

/**
 * Writes the history of an output into it, unless it holds integers, which have no gradient. Ops that only rename axes
 * use it after making an alias.
 */
export function record<A>(op: Differentiable<A>, out: Tensor, ins: readonly Tensor[], attrs: A): Tensor {
  if (!mode.gradients || out.dtype === "int32") return out;
  for (const x of ins) {
    if (!isTracked(x)) continue;
    out.node = { op: op as Differentiable<unknown>, inputs: ins, attrs };
    break;
  }
  return out;
}

/** The one device that all inputs are on. */
function commonDevice(op: Computation<never>, ins: readonly Tensor[]): Device {
  const { device } = ins[0].storage;
  for (let i = 1; i < ins.length; i++) {
    if (ins[i].storage.device === device) continue;
    const list = ins.map((x) => `${showShape(x.shape)} on ${x.device.name}`).join(", ");
    throw new Error(`${op.name}: expected inputs on one device, got ${list}`);
  }
  return device;
}

/** Checks that the inputs are tensors, and of a type that the op serves. */
function outputType<A>(op: Op<A>, ins: readonly Tensor[], attrs: A): DType {
  let mixed = false;
  for (let i = 0; i < ins.length; i++) {
    const x = ins[i];
    // In less time than instanceof takes. Tensors of another copy of nina-ts have devices of their own.
    if (x?.constructor !== Tensor) refuse(op.name, i === 0 ? "a tensor" : `a tensor as input ${i}`, x);
    mixed ||= x.dtype !== ins[0].dtype;
  }
  if (op.dtype) return op.dtype(ins, attrs);
  const type = ins[0].dtype;
  if (mixed) {
    const list = ins.map((x) => `${x.dtype} ${showShape(x.shape)}`).join(", ");
    throw new Error(`${op.name}: expected inputs of one dtype, got ${list}`);
  }
  if (!op.integers) checkFloat(ins[0], op.name);
  return type;
}

/** Throws for int32 tensors. */
export function checkFloat(x: Tensor, who: string): void {
  if (x.dtype === "int32")
    throw new Error(`${who}: expected float32 or float64, got int32 ${showShape(x.shape)}`);
}
