import type { DType, TensorData } from "./dtype.ts";
import type { Expr } from "./formula/expr.ts";
import type { Operand } from "./formula/launch.ts";
import type { Shape } from "./shape.ts";
import type { WeightFormat } from "./weight-format.ts";

/**
 * All that the rest of core knows of where numbers live and who computes with them. A device hands out storages, moves
 * numbers in and out of them, and does the work of ops; what its memory looks like, which kernels it has, and how it
 * runs many of them in a row is its own affair. The first one is core/cpu/.
 */
export interface Device {
  /** "cpu", "gpu:webasm": what errors and results say. */
  readonly name: string;

  /** Room for `size` numbers, with undefined content. */
  allocate(size: number, dtype: DType): Storage;
  /**
   * Room for `groups` matrices of weights that products alone read, kept in `format`: zeros. Only where the device has
   * such formats.
   */
  seal?(groups: number, outputs: number, inputs: number, format: WeightFormat): Storage;
  /** A storage for results of a program: without room until `capture` is given it, and `planned`. */
  promise(size: number, dtype: DType): Promised;
  /** Sets every number to `value`, which the storage's type can hold. */
  fill(storage: Storage, value: number): void;
  /** Overwrites all numbers, rounded to the storage's type. */
  write(storage: Storage, numbers: ArrayLike<number>): void;
  /** Overwrites all numbers of `to` with those of `from`, which lies on this device and has the same size and type. */
  copy(from: Storage, to: Storage): void;
  /** A copy of the numbers on the host, when all that was asked for before is done. */
  read(storage: Storage): Promise<TensorData>;

  /**
   * One call of an op made ready. `out` may look at the storage of an input of its own shape, and an op that updates
   * inputs (`updates`) replaces their numbers as well. Throws, naming the op, for a call that the device cannot do.
   */
  prepare<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready;
  /** Makes a program of the calls that a plan's body did. */
  capture(trace: Trace): Program;
}

/** Room for a number of numbers on a device, shared by all tensors that look at it. */
export interface Storage {
  readonly device: Device;
  readonly dtype: DType;
  readonly size: number;
  readonly bytes: number;
  /** Tensors that look at it; they count themselves. */
  owners: number;
  /** True when it is part of a program, whose memory it is. */
  readonly planned: boolean;
  /** True when the program that it is part of was disposed of, or never got it. */
  readonly gone: boolean;
  /**
   * The numbers themselves, for a device whose memory the host can look at, else null; null too while there is no room
   * yet.
   */
  readonly data: TensorData | null;
  /** In place of numbers in a row: weights as `seal` keeps them. */
  readonly sealed?: Sealed;
  /** Called when the last owner has let go. That of a planned storage does nothing. */
  release(): void;
}

/** Why nothing can be done with a storage that is gone. */
export const GONE = "the plan that it is a result of was disposed of, or was just being captured";

/** The storage of a program's result. */
export interface Promised extends Storage {
  /** Makes it `gone`: nothing can be done with it any more. */
  takeAway(): void;
}

/** Weights in the layout of a device's product kernels, with nothing beside it. */
export interface Sealed {
  readonly format: WeightFormat;
  /** Inputs of a matrix: numbers of a row. */
  readonly inputs: number;
  /** Rounds whole rows to the format and stores them, from row `first` of all matrices on. */
  setRows(first: number, numbers: ArrayLike<number>): void;
  /** All rows read back: what products multiply with. */
  numbers(): Float32Array;
}

export interface Shaped {
  readonly shape: Shape;
  /** Number of elements. */
  readonly size: number;
}

/** What a device sees of a tensor, neither history nor scope: the numbers of a storage under a shape. */
export interface TensorView extends Shaped {
  readonly dtype: DType;
  /** Throws when the tensor was freed. */
  readonly storage: Storage;
  /** The numbers, row-major, on the host's own device; throws elsewhere. */
  readonly data: TensorData;
}

/** What a device sees of an op: what it computes, not its gradient. */
export interface Computation<A> {
  readonly name: string;
  /**
   * What one element of the output is; every device prints its kernels from it. `operands` are the inputs, then what
   * the host makes. Calls with equal shapes and `structure` share what is printed.
   */
  readonly formula?: (operands: readonly Operand[], attrs: A, param: (i: number) => Expr) => Operand;
  /** Numbers that may be others at each call without changing the formula, which reads them as `param(i)`. */
  params?(attrs: A): readonly number[];
  /** What the formula reads of the attributes, as plain data: nothing if there are params, else all unless given. */
  structure?(attrs: A): unknown;
  /** Numbers that the host makes for the formula to read. */
  hosted?(ins: readonly Shaped[], attrs: A): readonly Hosted[];
  /**
   * Throws for numbers that the formula relies on, such as those of rows that do not exist. Called at each run where
   * the host can look at the inputs' numbers.
   */
  check?(ins: readonly TensorView[], attrs: A): void;
  /**
   * The element of an elementwise op from elements of its inputs; its attributes are its params. Programs join such
   * ops.
   */
  readonly elementwise?: Expr;
  /** Which inputs an op that works in place overwrites; `out` is the first of them. It has `updated` and no formula. */
  readonly updates?: readonly number[];
  /**
   * What each of those inputs becomes, all of them from the inputs as they were. A later one may read an earlier one.
   */
  updated?(operands: readonly Operand[], attrs: A, param: (i: number) => Expr): readonly Operand[];
}

/** An operand that the host makes. Lasting numbers are the same array at each call: devices may keep copies of them. */
export interface Hosted {
  readonly shape: Shape;
  numbers(): TensorData;
}

/** A call made ready for given storages: it does the work, any number of times. */
export type Ready = () => void;

/** One call of an op. */
export interface Step<T extends TensorView = TensorView> {
  readonly op: Computation<unknown>;
  readonly out: T;
  readonly ins: readonly T[];
  readonly attrs: unknown;
}

/** The calls that a plan does at every replay, and what it keeps. */
export interface Trace {
  readonly steps: readonly Step[];
  /** Look at promised storages, like the results of all steps. */
  readonly inputs: readonly TensorView[];
  /** Must hold their numbers after a run. A constant may be among them. */
  readonly outputs: readonly TensorView[];
  /**
   * Storages whose numbers differ from replay to replay: inputs, results, and variables that are written from outside.
   */
  readonly changing: ReadonlySet<Storage>;
}

/** Calls that a device does one after the other, its own way: joined, laid out, without allocating. */
export interface Program {
  /** Calls per run, once joined. */
  readonly length: number;
  /** Bytes that inputs and results take together. */
  readonly bytes: number;
  /** Copies the inputs, which may be results of the last run, and does the calls. */
  run(inputs: readonly TensorView[]): void;
  /** Frees what it owns; promised storages of its trace are gone then. Again: does nothing. */
  dispose(): void;
}

/** Memory with several owners: freed when the last one has let go. */
export interface Shared {
  retain(): void;
  letGo(): void;
}

/** Memory of devices that the host can look at (`Storage.data`): numbers there last only as long as their tensor. */
export const shownMemory = new WeakSet<ArrayBufferLike>();

let current: Device | null = null;

/** The device that tensors are made on. */
export function currentDevice(): Device {
  if (!current) throw new Error("currentDevice: no device yet: import core/index.ts, which sets one");
  return current;
}

/** Makes tensors on that device from now on, in the whole process. */
export function setDevice(device: Device): void {
  current = device;
}

/** Runs `body`, which must not be async, with tensors made on that device. */
export function onDevice<T>(device: Device, body: () => T): T {
  const before = current;
  current = device;
  try {
    return body();
  } finally {
    current = before;
  }
}
