import { refuse } from "./check.ts";
import type { PackedWeights } from "./cpu/kernels/packed.ts";
import type { Expr } from "./formula/expr.ts";
import type { Operand } from "./formula/launch.ts";
import { plainKernel } from "./formula/plain.ts";
import { capturing, type Recorder } from "./recorder.ts";
import { type Shape, showShape } from "./shape.ts";
import { type DType, Tensor, type TensorData } from "./tensor.ts";

/**
 * A kernel made ready for given blocks: calling it does the work, any number of times. It may hold the blocks'
 * addresses; a plan makes its kernels ready again after it has moved blocks.
 */
export type Ready = () => void;

/** One op: what it means (`formula`), faster ways to do it, its gradient, and samples for the shared test suites. */
export interface Op<A> {
  readonly name: string;
  /** Shape of the output. Throws for inputs that do not fit. */
  shape(ins: readonly Tensor[], attrs: A): Shape;
  /** Element type of the output; that of the first input unless given. */
  dtype?(ins: readonly Tensor[], attrs: A): DType;
  /**
   * What one element of the output is; every device prints its kernels from it. `operands` are the inputs, then what the
   * host makes. An op with `params` reads nothing else of its attributes here, and other attributes are plain data.
   */
  readonly formula?: (operands: readonly Operand[], attrs: A, param: (i: number) => Expr) => Operand;
  /** Numbers that may be others at each call without changing the formula, which reads them as `param(i)`. */
  params?(attrs: A): readonly number[];
  /** Numbers that the host makes for the formula to read. */
  hosted?(ins: readonly Tensor[], attrs: A): readonly Hosted[];
  readonly kernels: {
    /** The meaning, in plain TypeScript, for every dtype. */
    js?(out: Tensor, ins: readonly Tensor[], attrs: A): void;
    /** float32 on emitted WASM SIMD code; null for blocks it does not serve, which then run `js`. */
    wasm?(out: Tensor, ins: readonly Tensor[], attrs: A): Ready | null;
    /** The second input laid out for the kernel, where that pays: a plan does it once for weights that stay as they are. */
    pack?(ins: readonly Tensor[], attrs: A): PackedWeights | null;
    /** The WASM kernel with what a plan has joined to it; for ops that can end with more than their own result. */
    epilogue?(out: Tensor, ins: readonly Tensor[], attrs: A, after: Epilogue): Ready | null;
  };
  /** True when equal inputs may give different results from call to call: a plan never takes such a result for a constant. */
  readonly volatile?: boolean;
  /** True when it means something for int32 tensors; other ops refuse them. */
  readonly integers?: boolean;
  /** What the kernel reads on the heap beside its inputs: a plan becomes one of its owners. */
  shared?(attrs: A): Shared;
  /** The element of an elementwise op from elements of its inputs; its attributes are its params. Plans join such ops. */
  readonly elementwise?: Expr;
  /**
   * Gradients for the inputs in tensor ops, so that gradients have gradients; null where there is none.
   * `wants[i]` tells whether input i's gradient will be used: costly ones may be left out (null) when not.
   */
  backward(
    dy: Tensor,
    ins: readonly Tensor[],
    out: Tensor,
    attrs: A,
    wants: readonly boolean[],
  ): readonly (Tensor | null)[];
  /** Inputs (by shape) and attributes for the gradient check and the kernel comparison. */
  readonly samples: readonly Sample<A>[];
}

/** An operand that the host makes. Lasting numbers are the same array at each call: devices may keep copies of them. */
export interface Hosted {
  readonly shape: Shape;
  numbers(): TensorData;
}

/** Memory with several owners: freed when the last one has let go. */
export interface Shared {
  retain(): void;
  letGo(): void;
}

/** How a plan changes a kernel: what is done to the result before it is stored, and how the weights lie. */
export interface Epilogue {
  /** A formula of one input. */
  readonly activation?: Expr;
  /** Added last; of the output's shape. */
  readonly residual?: Tensor;
  /** What `pack` made; read in place of the second input. */
  readonly weights?: PackedWeights;
}

/** What `grad` needs of an op. */
export type Differentiable<A> = Pick<Op<A>, "name" | "backward">;

export interface Sample<A> {
  readonly ins: readonly Shape[];
  readonly attrs?: A;
  /** Range of the input values, (−1, 1) unless given; for ops that are not smooth or defined everywhere. */
  readonly range?: readonly [number, number];
  /** Indices of the inputs that hold int32 indices below the given bound instead of numbers. */
  readonly indices?: Readonly<Record<number, number>>;
}

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

const mode = { gradients: true, plain: false };

/** Runs `body` without recording history. */
export function noGrad<T>(body: () => T): T {
  return withMode("gradients", false, body);
}

/** Runs `body` recording history, also inside `noGrad`. */
export function withGradients<T>(body: () => T): T {
  return withMode("gradients", true, body);
}

/** False inside `noGrad`. */
export const tracksGradients = (): boolean => mode.gradients;

/** Runs `body` with history again inside `noGrad`, for gradients that are found by differentiating other ops. */
export function withGrad<T>(body: () => T): T {
  return withMode("gradients", true, body);
}

/** Runs `body` on the plain kernels only: the oracle for the fast ones. */
export function plainKernels<T>(body: () => T): T {
  return withMode("plain", true, body);
}

/** False inside `plainKernels`. */
export const usesFastKernels = (): boolean => !mode.plain;

function withMode<T>(key: "gradients" | "plain", value: boolean, body: () => T): T {
  const before = mode[key];
  mode[key] = value;
  try {
    return body();
  } finally {
    mode[key] = before;
  }
}

/** Whether a gradient may be asked for through this tensor. */
export const isTracked = (x: Tensor): boolean => x.requiresGrad || x.node !== null;

/** Runs an op: allocates the output, chooses the kernel, records history and, when one is being made, the plan. */
export function apply<A>(op: Op<A>, ins: readonly Tensor[], attrs: A): Tensor {
  const dtype = outputType(op, ins, attrs);
  const out = Tensor.reserve(op.shape(ins, attrs), dtype);
  if (out.size > 0) {
    if (capturing.recorder) captured(capturing.recorder, { op: op as Op<unknown>, out, ins, attrs });
    else applyInto(op, out, ins, attrs);
  }
  return record(op, out, ins, attrs);
}

function captured(recorder: Recorder, call: Step): void {
  recorder.run(call, () => applyInto(call.op, call.out, call.ins, call.attrs));
}

/** Runs an op's kernel alone: the result goes to `out`, which must fit. Neither history nor a plan knows of it. */
export function applyInto<A>(op: Op<A>, out: Tensor, ins: readonly Tensor[], attrs: A): void {
  const ready = prepare(op, out, ins, attrs);
  if (watcher.watch) timed(watcher.watch, ready, { op: op as Op<unknown>, out, ins, attrs });
  else ready();
}

/** Runs kernels that are ready one after the other; `steps` says what they are, for profiles. */
export function runAll(kernels: readonly Ready[], steps: readonly Step[]): void {
  const { watch } = watcher;
  for (let i = 0; i < kernels.length; i++) {
    if (watch) timed(watch, kernels[i], steps[i]);
    else kernels[i]();
  }
}

/** One kernel call, as a plan records it. */
export interface Step {
  readonly op: Op<unknown>;
  readonly out: Tensor;
  readonly ins: readonly Tensor[];
  readonly attrs: unknown;
}

/** Told of each kernel call and the milliseconds it took. */
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
  ready();
  watch(call, performance.now() - start);
}

/** Chooses the kernel: the WASM one for float32 when it serves these blocks, else the plain one. */
export function prepare<A>(op: Op<A>, out: Tensor, ins: readonly Tensor[], attrs: A): Ready {
  const fast = mode.plain || out.dtype === "float64" ? null : op.kernels.wasm?.(out, ins, attrs);
  if (fast) return fast;
  const { js } = op.kernels;
  return js ? () => js(out, ins, attrs) : plainKernel(op, out, ins, attrs);
}

/** Writes the history of an output into it. Ops that only rename axes use it after making an alias. */
export function record<A>(op: Differentiable<A>, out: Tensor, ins: readonly Tensor[], attrs: A): Tensor {
  if (!mode.gradients) return out;
  for (const x of ins) {
    if (!isTracked(x)) continue;
    out.node = { op: op as Differentiable<unknown>, inputs: ins, attrs };
    break;
  }
  return out;
}

/** Checks that the inputs are tensors, and of a type that the op serves. */
function outputType<A>(op: Op<A>, ins: readonly Tensor[], attrs: A): DType {
  let mixed = false;
  for (let i = 0; i < ins.length; i++) {
    const x = ins[i];
    // In less time than instanceof takes. Tensors of another copy of the package lie on another heap.
    if (x?.constructor !== Tensor) refuse(op.name, i === 0 ? "a tensor" : `a tensor as input ${i}`, x);
    mixed ||= x.dtype !== ins[0].dtype;
  }
  if (op.dtype) return op.dtype(ins, attrs);
  const type = ins[0].dtype;
  if (mixed) {
    const list = ins.map((x) => `${x.dtype} ${showShape(x.shape)}`).join(", ");
    throw new Error(`${op.name}: expected inputs of one dtype, got ${list}`);
  }
  if (type === "int32" && !op.integers)
    throw new Error(`${op.name}: expected float32 or float64, got int32 ${showShape(ins[0].shape)}`);
  return type;
}
