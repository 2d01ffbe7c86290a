import { checkInt32, markCopy, refuse } from "./check.ts";
import { allocate, memory, release } from "./cpu/heap.ts";
import { flatten, type Nested } from "./nested.ts";
import type { Differentiable } from "./op.ts";
import type { Methods } from "./ops/index.ts";
import { capturing } from "./recorder.ts";
import { type Scope, scopes, unscoped } from "./scope.ts";
import { checkShape, type Shape, sameShape, showShape, sizeOf } from "./shape.ts";

/**
 * Element types. float32 is what fast kernels work on; float64 runs on the plain kernels and is what the
 * verification suites use; int32 holds token ids and indices.
 */
export type DType = "float32" | "float64" | "int32";
export type TensorData = Float32Array | Float64Array | Int32Array;

const VIEWS = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

/** A reserved piece of the heap, shared by all tensors that look at it. */
export interface Block {
  /** Negative when it is part of a plan that has not been laid out yet, or was disposed of. */
  address: number;
  readonly bytes: number;
  /** Tensors that look at it; freed with the last one. */
  owners: number;
  /** True when it lies inside a plan's arena, which frees it. */
  readonly planned: boolean;
}

/** How a tensor was computed: what `grad` walks back along. */
export interface Node {
  readonly op: Differentiable<unknown>;
  readonly inputs: readonly Tensor[];
  readonly attrs: unknown;
}

/**
 * In place of a history that is gone, because a scope or its owner has freed the tensors that it led to. `grad` refuses to
 * call what lies behind it independent.
 */
export const CUT: Node = {
  op: { name: "cut", backward: () => [] },
  inputs: [],
  attrs: undefined,
};

// The ops of core/ops/ that take a tensor first are also its methods: x.softmax() is softmax(x).
export interface Tensor extends Methods {}

/**
 * A contiguous row-major block of numbers on the heap.
 *
 * Memory: a tensor made inside a `Scope` is freed when the scope ends unless it was kept; one made outside
 * lives until `dispose()`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: core/index.ts defines every method of the interface
export class Tensor {
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
  #block: Block | null;
  #view: TensorData | null = null;
  #scope: Scope | null;

  private constructor(shape: Shape, size: number, dtype: DType, block: Block) {
    if (!block) refuse("Tensor", "to be made with Tensor.from or Tensor.zeros", shape);
    this.shape = shape;
    this.dtype = dtype;
    this.size = size;
    this.#block = block;
    block.owners++;
    this.#scope = scopes.current;
    this.#scope?.add(this);
  }

  /** A tensor with undefined content. */
  static empty(shape: Shape, dtype: DType = "float32"): Tensor {
    return made(shape, dtype, "Tensor.empty");
  }

  /** The same for a shape that is known to be one and that nobody will change: what ops make their results with. */
  static reserve(shape: Shape, dtype: DType): Tensor {
    const size = sizeOf(shape);
    const bytes = dtype === "float64" ? 8 * size : 4 * size;
    return new Tensor(shape, size, dtype, { address: allocate(bytes), bytes, owners: 0, planned: false });
  }

  /** A tensor that looks at a given block; in no scope. What plans are made of. */
  static over(block: Block, shape: Shape, dtype: DType): Tensor {
    return unscoped(() => new Tensor(shape, sizeOf(shape), dtype, block));
  }

  /** A tensor filled with one value, rounded to `dtype`; int32 takes only integers that fit. */
  static full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
    if (typeof value !== "number") refuse("Tensor.full", "a number", value);
    if (dtype === "int32") checkInt32([value], "Tensor.full");
    const out = made(shape, dtype, "Tensor.full");
    out.data.fill(value);
    return out;
  }

  static zeros(shape: Shape, dtype: DType = "float32"): Tensor {
    const out = made(shape, dtype, "Tensor.zeros");
    out.data.fill(0);
    return out;
  }

  static ones(shape: Shape, dtype: DType = "float32"): Tensor {
    const out = made(shape, dtype, "Tensor.ones");
    out.data.fill(1);
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
    out.data.set(numbers);
    return out;
  }

  static scalar(value: number, dtype: DType = "float32"): Tensor {
    return Tensor.full([], value, dtype);
  }

  /**
   * The numbers themselves, row-major: a view of the heap. It must not outlive the tensor: once that is freed, the view
   * shows whatever takes its place. `toArray` copies.
   */
  get data(): TensorData {
    capturing.recorder?.look(this);
    const address = this.address;
    if (this.#view?.byteOffset !== address)
      this.#view = new VIEWS[this.dtype](memory.buffer, address, this.size);
    return this.#view as TensorData;
  }

  /** Where the block starts on the heap, in bytes. */
  get address(): number {
    const { address } = this.block;
    if (address < 0)
      throw new Error(`Tensor ${showShape(this.shape)}: the plan that it is a result of was disposed of`);
    return address;
  }

  /** The piece of the heap it looks at. */
  get block(): Block {
    if (!this.#block)
      throw new Error(
        `Tensor ${showShape(this.shape)}: used after it was freed (its scope has ended, or it was disposed of)`,
      );
    return this.#block;
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

  /** A copy of the numbers outside the heap. */
  toArray(): number[] {
    return Array.from(this.data);
  }

  /** The same block under another shape and no history. Used by ops that only rename axes. */
  alias(shape: Shape): Tensor {
    return new Tensor([...shape], this.size, this.dtype, this.block);
  }

  /** The same numbers, cut off from how they were computed. */
  detach(): Tensor {
    return new Tensor(this.shape, this.size, this.dtype, this.block);
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

  /** Marks a leaf that gradients are wanted for. Integers have none. */
  tracked(): this {
    if (this.dtype === "int32")
      throw new Error(`tracked: expected float32 or float64, got int32 ${showShape(this.shape)}`);
    this.requiresGrad = true;
    return this;
  }

  /** Moves this tensor to another scope, or out of all scopes. Scopes call it; use `Scope.keep`. */
  moveTo(scope: Scope | null): void {
    this.#scope?.remove(this);
    this.#scope = scope;
    scope?.add(this);
  }

  /** Gives up the block; it is freed with its last owner. Using the tensor afterwards throws. */
  dispose(): void {
    this.#scope?.remove(this);
    this.#scope = null;
    const block = this.#block;
    if (!block) return;
    this.#block = null;
    this.#view = null;
    if (this.node) this.node = CUT;
    if (--block.owners === 0 && !block.planned) release(block.address, block.bytes);
  }
}

/** Throws unless x is a tensor of this copy of the package. */
export function checkTensor(x: unknown, who: string, what = "a tensor"): asserts x is Tensor {
  if (!(x instanceof Tensor)) refuse(who, what, x);
}

/** Throws unless `list` is an array of tensors. */
export function checkTensors(list: readonly Tensor[], who: string): void {
  if (!Array.isArray(list)) refuse(who, "an array of tensors", list);
  for (const x of list) checkTensor(x, who, "an array of tensors, each");
}

export function checkDType(dtype: DType, who: string): void {
  if (!Object.hasOwn(VIEWS, dtype)) refuse(who, "float32, float64 or int32", dtype);
}

/** A tensor with undefined content; shape and dtype are checked. */
function made(shape: Shape, dtype: DType, who: string): Tensor {
  checkShape(shape, who);
  checkDType(dtype, who);
  return Tensor.reserve([...shape], dtype);
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
