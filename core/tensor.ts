import { checkFinite, checkInt32, checkInteger, markCopy, refuse } from "./check.ts";
import { currentDevice, type Device, GONE, type Storage, type TensorView } from "./device.ts";
import { checkDType, type DType, type TensorData } from "./dtype.ts";
import { flatten, type Nested } from "./nested.ts";
import { capturing } from "./recorder.ts";
import { type Scope, type Scoped, scopes } from "./scope.ts";
import { checkShape, type Shape, sameShape, showShape, sizeOf } from "./shape.ts";
import { showNumbers } from "./show-numbers.ts";
import type { WeightFormat } from "./weight-format.ts";

/** What `grad` needs of an op. */
export interface Differentiable<A> {
  readonly name: string;
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
}

/** How a tensor was computed: what `grad` walks back along. */
export interface Node {
  readonly op: Differentiable<unknown>;
  readonly inputs: readonly Tensor[];
  readonly attrs: unknown;
}

/**
 * In place of a history that is gone, because a scope or its owner has freed the tensors that it led to. `grad` refuses
 * to call what lies behind it independent.
 */
export const CUT: Node = {
  op: { name: "cut", backward: () => [] },
  inputs: [],
  attrs: undefined,
};

/**
 * A contiguous row-major block of numbers on a device. The ops that take a tensor first are also its methods: see
 * methods.ts.
 *
 * Memory: a tensor made inside a `Scope` is freed when the scope ends unless it was kept; one made outside
 * lives until `dispose()`.
 */
export class Tensor implements TensorView, Scoped {
  static {
    markCopy(Tensor);
  }

  readonly shape: Shape;
  readonly dtype: DType;
  readonly size: number;
  /** True for leaves that gradients are wanted for, such as parameters. */
  requiresGrad = false;
  /** How it was computed, when a gradient may be asked for. */
  node: Node | null = null;
  /** Where in its scope's list it stands; scopes write it. */
  place = 0;
  #storage: Storage | null;
  #scope: Scope | null;

  private constructor(shape: Shape, size: number, dtype: DType, storage: Storage) {
    if (!storage) refuse("Tensor", "to be made with Tensor.from or Tensor.zeros", shape);
    this.shape = shape;
    this.dtype = dtype;
    this.size = size;
    this.#storage = storage;
    storage.owners++;
    this.#scope = scopes.current;
    this.#scope?.add(this);
  }

  /** A tensor with undefined content. */
  static empty(shape: Shape, dtype: DType = "float32"): Tensor {
    return made(shape, dtype, "Tensor.empty");
  }

  /** The same on a given device, for a shape that is known to be one and that nobody will change: an op's result. */
  static reserve(shape: Shape, dtype: DType, device: Device): Tensor {
    const size = sizeOf(shape);
    return new Tensor(shape, size, dtype, device.allocate(size, dtype));
  }

  /** A tensor that looks at a given storage. What plans are made of. */
  static over(storage: Storage, shape: Shape): Tensor {
    return new Tensor(shape, sizeOf(shape), storage.dtype, storage);
  }

  /**
   * Weights for inference, (outputs, inputs) or (groups, outputs, inputs), kept in `format` alone, laid out for the
   * kernels that read them: `x.linear`, `x.matmul` with `transposeB`, `gatherRows`. Zeros until `write` or `writePart`;
   * `read` gives what they were rounded to. Throws on a device without such formats.
   */
  static sealed(shape: Shape, format: WeightFormat): Tensor {
    checkShape(shape, "Tensor.sealed");
    const device = currentDevice();
    if (shape.length < 2 || shape.length > 3)
      refuse("Tensor.sealed", "a shape (outputs, inputs) or (groups, outputs, inputs)", showShape(shape));
    if (!device.seal)
      throw new Error(
        `Tensor.sealed: ${device.name} keeps no sealed weights: make them on cpu, then move them`,
      );
    const [inputs, outputs, groups = 1] = shape.toReversed();
    return new Tensor([...shape], sizeOf(shape), "float32", device.seal(groups, outputs, inputs, format));
  }

  /** A tensor filled with one value, rounded to `dtype`; int32 takes only integers that fit. */
  static full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
    if (typeof value !== "number") refuse("Tensor.full", "a number", value);
    if (dtype === "int32") checkInt32([value], "Tensor.full");
    const out = made(shape, dtype, "Tensor.full");
    out.device.fill(out.storage, value);
    return out;
  }

  static zeros(shape: Shape, dtype: DType = "float32"): Tensor {
    const out = made(shape, dtype, "Tensor.zeros");
    out.device.fill(out.storage, 0);
    return out;
  }

  static ones(shape: Shape, dtype: DType = "float32"): Tensor {
    const out = made(shape, dtype, "Tensor.ones");
    out.device.fill(out.storage, 1);
    return out;
  }

  /**
   * A tensor with the given numbers, rounded to `dtype`; int32 takes only integers that fit. Nested arrays, as in
   * `Tensor.from([[1, 2], [3, 4]])`, bring their shape; numbers in a row are row-major and take `shape`.
   */
  static from(values: Nested, shape?: Shape, dtype: DType = "float32"): Tensor {
    const who = "Tensor.from";
    const { numbers, shape: found } = flatten(values, who);
    const wanted = shape ?? found;
    checkShape(wanted, who);
    if (sizeOf(wanted) !== numbers.length) {
      throw new Error(
        `${who}: shape ${showShape(wanted)} holds ${sizeOf(wanted)} numbers, got ${numbers.length}`,
      );
    }
    if (found.length > 1 && !sameShape(found, wanted))
      throw new Error(`${who}: expected arrays nested as ${showShape(wanted)}, got ${showShape(found)}`);
    if (dtype === "int32") checkInt32(numbers, who);
    const out = made(wanted, dtype, who);
    out.device.write(out.storage, numbers);
    return out;
  }

  static scalar(value: number, dtype: DType = "float32"): Tensor {
    return Tensor.full([], value, dtype);
  }

  /** `start`, `start` + `step`, … up to `end`, which is left out. `arange(n)` is 0, 1, … n − 1. */
  static arange(start: number, end?: number, step = 1, dtype: DType = "float32"): Tensor {
    const who = "Tensor.arange";
    const [from, to] = end === undefined ? [0, start] : [start, end];
    checkFinite(from, who, "start");
    checkFinite(to, who, "end");
    checkFinite(step, who, "step");
    if (step === 0) refuse(who, "a step that is not 0", step);
    const length = Math.max(0, Math.ceil((to - from) / step));
    return sequence(length, (i) => from + i * step, dtype, who);
  }

  /** `count` numbers from `start` to `end`, both of them among these, equally far apart. */
  static linspace(start: number, end: number, count: number, dtype: DType = "float32"): Tensor {
    const who = "Tensor.linspace";
    checkFinite(start, who, "start");
    checkFinite(end, who, "end");
    checkInteger(count, 0, who, "count");
    const last = count - 1;
    const number = (i: number): number => (i === last && i > 0 ? end : start + (i * (end - start)) / last);
    return sequence(count, (i) => (i === 0 ? start : number(i)), dtype, who);
  }

  /** The unit matrix of that many rows: 1 on the diagonal, 0 elsewhere. */
  static eye(rows: number, dtype: DType = "float32"): Tensor {
    checkInteger(rows, 0, "Tensor.eye", "rows");
    const diagonal = (i: number): number => Number(i % (rows + 1) === 0);
    return sequence(rows * rows, diagonal, dtype, "Tensor.eye", [rows, rows]);
  }

  /** Where its numbers live. */
  get device(): Device {
    return this.storage.device;
  }

  /** Where its numbers are; views of them share it. */
  get storage(): Storage {
    return this.#storage ?? this.#freed();
  }

  #freed(): never {
    throw new Error(
      `Tensor ${showShape(this.shape)}: used after it was freed (its scope has ended, or it was disposed of)`,
    );
  }

  /**
   * The numbers themselves, row-major, on a device whose memory the host can look at, as cpu: a view, not a copy. It
   * must not outlive the tensor: once that is freed, the view shows whatever takes its place. `toArray` copies, `read`
   * works on every device.
   */
  get data(): TensorData {
    capturing.recorder?.look(this);
    const { data } = this.storage;
    return data ?? this.#hidden();
  }

  /** The numbers, or what sealed ones were rounded to. */
  #numbers(): TensorData {
    return this.storage.sealed?.numbers() ?? this.data;
  }

  #hidden(): never {
    const who = `Tensor ${showShape(this.shape)}`;
    const { sealed } = this.storage;
    if (sealed)
      throw new Error(
        `${who}: sealed as ${sealed.format} for inference: its numbers are not there to look at or to train`,
      );
    if (this.storage.gone) throw new Error(`${who}: ${GONE}`);
    throw new Error(
      `${who}: data, item and toArray look at numbers on cpu, got a tensor on ${this.device.name}: await read()`,
    );
  }

  /** A copy of the numbers, row-major, from any device. */
  read(): Promise<TensorData> {
    capturing.recorder?.look(this);
    const { storage } = this;
    if (storage.gone) this.#hidden();
    return storage.device.read(storage);
  }

  /** Sets every number to `value`, rounded to the tensor's dtype. */
  fill(value: number): void {
    capturing.recorder?.look(this);
    const { storage } = this;
    if (storage.gone) this.#hidden();
    storage.device.fill(storage, value);
  }

  /** Overwrites all numbers, rounding the given ones to the tensor's dtype. */
  write(numbers: ArrayLike<number>): void {
    capturing.recorder?.look(this);
    const { storage } = this;
    if (storage.gone) this.#hidden();
    if (numbers.length !== this.size)
      throw new Error(`Tensor.write: expected ${this.size} numbers, got ${numbers.length}`);
    storage.device.write(storage, numbers);
  }

  /**
   * Overwrites numbers from number `start` on, of a tensor whose memory the host can look at. Those of a sealed tensor
   * are whole rows.
   */
  writePart(start: number, numbers: ArrayLike<number>): void {
    const { sealed } = this.storage;
    if (!sealed) this.data.set(numbers, start);
    else {
      capturing.recorder?.look(this);
      sealed.setRows(start / sealed.inputs, numbers);
    }
  }

  /** Overwrites all numbers with those of a tensor of the same shape and dtype on the same device. */
  copyFrom(x: Tensor): void {
    for (const each of [this, x]) {
      capturing.recorder?.look(each);
      if (each.storage.gone) each.#hidden();
    }
    if (x.device !== this.device || x.dtype !== this.dtype || !sameShape(x.shape, this.shape)) {
      const [expected, got] = [this, x].map((y) => `${y.dtype} ${showShape(y.shape)} on ${y.device.name}`);
      throw new Error(`Tensor.copyFrom: expected ${expected}, got ${got}`);
    }
    this.device.copy(x.storage, this.storage);
  }

  /** A tensor of its own with the same numbers and without history. */
  copy(): Tensor {
    capturing.recorder?.look(this);
    const { storage } = this;
    if (storage.gone) this.#hidden();
    const out = Tensor.reserve(this.shape, this.dtype, storage.device);
    storage.device.copy(storage, out.storage);
    return out;
  }

  /**
   * For a dtype: the same numbers rounded to that, with their history (`cast`). For a device: a copy there, without
   * history. Only from one whose memory the host can look at, as cpu; from elsewhere take `await x.read()` to
   * `Tensor.from`.
   */
  to(target: Device | DType): Tensor {
    if (typeof target === "string") return this.cast(target);
    const device = target;
    if (device === this.device) return this.copy();
    const data = this.#numbers();
    const out = Tensor.reserve(this.shape, this.dtype, device);
    device.write(out.storage, data);
    return out;
  }

  /**
   * Moves its numbers to another device, in place; its history ends. Only from one whose memory the host can look at,
   * as cpu. Views of the same storage, plans and an optimiser's state stay where they are.
   */
  relocate(device: Device): this {
    capturing.recorder?.look(this);
    if (device === this.device) return this;
    const { storage: before } = this;
    const data = this.#numbers();
    const storage = device.allocate(this.size, this.dtype);
    device.write(storage, data);
    storage.owners++;
    this.#storage = storage;
    if (this.node) this.node = CUT;
    if (--before.owners === 0) before.release();
    return this;
  }

  /** The scope that frees it, or null. */
  get scope(): Scope | null {
    return this.#scope;
  }

  /** The only number of a tensor with one element. */
  item(): number {
    if (this.size !== 1)
      throw new Error(`item: expected a tensor with one element, got ${showShape(this.shape)}`);
    return this.data[0];
  }

  /** A copy of the numbers, on the host. */
  toArray(): number[] {
    return Array.from(this.data);
  }

  /** The same storage under another shape and no history. Used by ops that only rename axes. */
  alias(shape: Shape): Tensor {
    return new Tensor([...shape], this.size, this.dtype, this.storage);
  }

  /** The same numbers, cut off from how they were computed. */
  detach(): Tensor {
    return new Tensor(this.shape, this.size, this.dtype, this.storage);
  }

  /**
   * Checks the rank and names the lengths: `const { B, T } = x.dims("B T", "Attention")`.
   * A name that is a number, as in "B 3", must match.
   */
  dims<Names extends string>(names: Names, who: string): Record<Split<Names>, number> {
    const list = parseNames(names);
    const { shape } = this;
    const dims: Record<string, number> = {};
    let fits = list.length === shape.length;
    for (let i = 0; fits && i < list.length; i++) {
      dims[list[i].name] = shape[i];
      fits = list[i].length === null || list[i].length === shape[i];
    }
    if (!fits) {
      const expected = list.map(({ name }) => name).join(", ");
      throw new Error(`${who}: expected shape (${expected}), got ${showShape(shape)}`);
    }
    return dims as Record<Split<Names>, number>;
  }

  /**
   * What it is, and its numbers where the host can look at them, shortened: what `console.log` prints. Of a tensor that
   * was freed, or that a plan has yet to compute, it says so.
   */
  toString(): string {
    const what = `Tensor ${this.dtype} ${showShape(this.shape)}`;
    const storage = this.#storage;
    if (!storage) return `${what}, freed`;
    const where = `${what} on ${storage.device.name}`;
    if (storage.gone) return `${where}, gone: ${GONE}`;
    if (storage.sealed) return `${where}, sealed as ${storage.sealed.format}`;
    if (storage.data) return `${where}${below(showNumbers(storage.data, this.shape))}`;
    return storage.planned
      ? `${where}, computed when its plan runs`
      : `${where}: await read() gives the numbers`;
  }

  /** Node's `console.log` and `util.inspect`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Marks a leaf that gradients are wanted for. Integers have none. */
  tracked(): this {
    if (this.dtype === "int32")
      throw new Error(`tracked: expected float32 or float64, got int32 ${showShape(this.shape)}`);
    this.requiresGrad = true;
    return this;
  }

  /** Moves this tensor to another scope, or out of all scopes; its history ends. Scopes call it; use `Scope.keep`. */
  moveTo(scope: Scope | null): void {
    if (this.node) this.node = CUT;
    this.#scope?.remove(this);
    this.#scope = scope;
    scope?.add(this);
  }

  /** Gives up the storage; it is freed with its last owner. Using the tensor afterwards throws. */
  dispose(): void {
    this.#scope?.remove(this);
    this.#scope = null;
    const storage = this.#storage;
    if (!storage) return;
    this.#storage = null;
    if (this.node) this.node = CUT;
    if (--storage.owners === 0) storage.release();
  }
}

/** A few numbers go on in the same line. */
const below = (table: string): string =>
  table.includes("\n") || table.length > 60 ? `\n${table}` : `: ${table}`;

/** Throws unless x is a tensor of this copy of nina-ts. */
export function checkTensor(x: unknown, who: string, what = "a tensor"): asserts x is Tensor {
  if (!(x instanceof Tensor)) refuse(who, what, x);
}

/** Throws unless `list` is an array of tensors. */
export function checkTensors(list: readonly Tensor[], who: string): void {
  if (!Array.isArray(list)) refuse(who, "an array of tensors", list);
  for (const x of list) checkTensor(x, who, "an array of nothing but tensors");
}

/** A tensor with undefined content; shape and dtype are checked. */
function made(shape: Shape, dtype: DType, who: string): Tensor {
  checkShape(shape, who);
  checkDType(dtype, who);
  return Tensor.reserve([...shape], dtype, currentDevice());
}

/** A tensor of `length` numbers, each made from its place. */
function sequence(
  length: number,
  number: (i: number) => number,
  dtype: DType,
  who: string,
  shape: Shape = [length],
): Tensor {
  const numbers = Float64Array.from({ length }, (_, i) => number(i));
  checkDType(dtype, who);
  if (dtype === "int32") checkInt32(numbers, who);
  return Tensor.from(numbers, shape, dtype);
}

interface AxisName {
  readonly name: string;
  /** The length it must have, when the name is a number. */
  readonly length: number | null;
}

const parsedNames = new Map<string, readonly AxisName[]>();

/** "B 3" → names of axes. Kept: layers ask for the same few at every call. */
function parseNames(names: string): readonly AxisName[] {
  let parsed = parsedNames.get(names);
  if (!parsed) {
    parsed = names.split(" ").map((name) => ({ name, length: /^\d+$/.test(name) ? Number(name) : null }));
    parsedNames.set(names, parsed);
  }
  return parsed;
}

type Split<S extends string> = S extends `${infer Head} ${infer Tail}` ? Head | Split<Tail> : S;
