/**
 * A small WebAssembly assembler: modules, functions, typed locals and control flow around the expressions of
 * values.ts. Enough for kernels over one imported memory, and no more.
 */
import { unsigned } from "./leb128.ts";
import { F32x4, F64, I32, I32x4, int, type V128, Value, type ValueType } from "./values.ts";

/** A named place for a value inside a function. */
export type Local<T extends Value = Value> = T & Place<T>;

/** What makes a value assignable: its number among the function's locals, and the type it has. */
interface Place<T extends Value> {
  readonly local: number;
  readonly holds: ValueType<T>;
}

/** Where a branch goes: the end of a block, or the start of a loop. */
export interface Label {
  readonly depth: number;
}

const EMPTY = 0x40;

/** A function under construction. Its methods append statements, in the order they are called. */
export class Func {
  /** The parameters of a kernel, all of which are integers. */
  readonly params: readonly Local<I32>[];
  readonly #locals: number[] = [];
  readonly #constants = new Map<string, Local>();
  readonly #prologue: number[] = [];
  readonly #code: number[] = [];
  #depth = 0;

  constructor(params: readonly ValueType<Value>[]) {
    this.params = params.map((type, index) => place(type, index) as Local<I32>);
  }

  /** A local of undefined content (zero, in fact). */
  local<T extends Value>(type: ValueType<T>): Local<T> {
    this.#locals.push(type.type);
    return place(type, this.params.length + this.#locals.length - 1);
  }

  /** Several locals of one type. */
  locals<T extends Value>(type: ValueType<T>, count: number): Local<T>[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  /**
   * The same number four times, kept in a local that is set when the function starts: V8 rebuilds a vector constant
   * at every use, while a local stays in a register or comes from the stack.
   */
  constant(value: number): Local<F32x4> {
    return this.#constant(`f${Object.is(value, -0) ? "-0" : value}`, F32x4.splat(value));
  }

  /** The same integer four times, likewise. */
  constantInt(value: number): Local<I32x4> {
    return this.#constant(`i${value}`, I32x4.splat(value));
  }

  #constant<T extends Value>(key: string, value: T): Local<T> {
    let local = this.#constants.get(key) as Local<T> | undefined;
    if (!local) {
      local = this.local(value.constructor as ValueType<T>);
      this.#prologue.push(...value.code, 0x21, ...unsigned(local.local));
      this.#constants.set(key, local);
    }
    return local;
  }

  /** Computes a value once and names it. */
  let<T extends Value>(value: T): Local<T> {
    const local = this.local(value.constructor as ValueType<T>);
    this.set(local, value);
    return local;
  }

  set<T extends Value>(local: Place<T>, value: T): void {
    this.#emit(...value.code, 0x21, ...unsigned(local.local));
  }

  /** local += step */
  bump(local: Local<I32>, step: I32 | number): void {
    this.set(local, local.add(step));
  }

  /** Writes a value to `address + offset`. */
  store(address: I32, value: Value, offset = 0): void {
    const { store, align } = (value.constructor as ValueType<Value>).memory;
    this.#emit(...address.code, ...value.code, ...store, align, ...unsigned(offset));
  }

  /** Writes the lowest byte. */
  storeByte(address: I32, value: I32, offset = 0): void {
    this.#emit(...address.code, ...value.code, 0x3a, 0, ...unsigned(offset));
  }

  /** Writes one 32-bit lane. */
  storeLane(address: I32, value: V128, lane: number, offset = 0): void {
    this.#emit(...address.code, ...value.code, 0xfd, 0x5a, 2, ...unsigned(offset), lane);
  }

  /** Writes lanes 0 and 1. */
  storeTwo(address: I32, value: V128, offset = 0): void {
    this.#emit(...address.code, ...value.code, 0xfd, 0x5b, 2, ...unsigned(offset), 0);
  }

  /** A stretch of code that `branch(label)` leaves. */
  block(body: (end: Label) => void): void {
    this.#nest([0x02, EMPTY], body);
  }

  /** A stretch of code that `branch(label)` starts again; without a branch it runs once. */
  loop(body: (start: Label) => void): void {
    this.#nest([0x03, EMPTY], body);
  }

  branch(label: Label): void {
    this.#emit(0x0c, ...unsigned(this.#depth - label.depth));
  }

  branchIf(condition: I32, label: Label): void {
    this.#emit(...condition.code, 0x0d, ...unsigned(this.#depth - label.depth));
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#nest([...condition.code, 0x04, EMPTY], () => {
      then();
      if (otherwise) {
        this.#emit(0x05);
        otherwise();
      }
    });
  }

  /**
   * for (i = from; i < to; i += step), unsigned. `to` must stay as it is and is best a local; `i + step` must not
   * pass 2³².
   */
  range(i: Local<I32>, from: I32 | number, to: I32, step: I32 | number, body: () => void): void {
    this.set(i, int(from));
    this.if(i.lt(to), () => {
      this.loop((again) => {
        body();
        this.bump(i, step);
        this.branchIf(i.lt(to), again);
      });
    });
  }

  /** Calls a function that gives nothing. */
  do(call: Nothing): void {
    this.#emit(...call.code);
  }

  /** Ends the function. A function of a module with a result gives `value`. */
  return(value?: Value): void {
    this.#emit(...(value?.code ?? []), 0x0f);
  }

  /** Repeats the body until the condition, computed after it, is false. */
  repeatWhile(body: () => void, condition: () => I32): void {
    this.loop((again) => {
      body();
      this.branchIf(condition(), again);
    });
  }

  /** The function as it stands in the code section; `result` is what it gives when it comes to its end. */
  bytes(result?: Value): number[] {
    const locals = vector(this.#locals.map((type) => [1, type]));
    const body = [...locals, ...this.#prologue, ...this.#code, ...(result?.code ?? []), 0x0b];
    return [...unsigned(body.length), ...body];
  }

  #nest(head: readonly number[], body: (label: Label) => void): void {
    this.#emit(...head);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.#emit(0x0b);
  }

  #emit(...bytes: number[]): void {
    for (const byte of bytes) this.#code.push(byte);
  }
}

function place<T extends Value>(type: ValueType<T>, index: number): Local<T> {
  return Object.assign(new type([0x20, ...unsigned(index)]), { local: index, holds: type });
}

/** What the call of a function without a result leaves on the stack. */
export class Nothing extends Value {}

type Types = readonly ValueType<Value>[];
type Locals<P extends Types> = { [K in keyof P]: P[K] extends ValueType<infer T> ? Local<T> : never };
type Arguments<P extends Types> = { [K in keyof P]: P[K] extends ValueType<infer T> ? T : never };
/** A function as others call it. */
export type Callable<P extends Types, R extends Value> = (...args: Arguments<P>) => R;

interface Memory {
  readonly minimum: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/**
 * A module of exported functions, which may call those before them. It imports the memory `env.memory` and what
 * they ask for, all of it from `env` and before the first of them.
 */
export class Library {
  readonly #types: number[][] = [];
  readonly #imports: number[][] = [];
  #importedFunctions = 0;
  #importedGlobals = 0;
  readonly #functions: { readonly name: string; readonly type: number; readonly code: number[] }[] = [];

  /** An imported i32 that stays the same. */
  global(name: string): I32 {
    this.#imports.push([...text("env"), ...text(name), 0x03, I32.type, 0]);
    return new I32([0x23, ...unsigned(this.#importedGlobals++)]);
  }

  /** An imported function. */
  import<P extends Types, R extends Value>(
    name: string,
    params: readonly [...P],
    result: (new (code: readonly number[]) => R) | typeof Nothing,
  ): Callable<P, R> {
    if (this.#functions.length > 0)
      throw new Error(`Library: "${name}" is imported after the first function`);
    this.#imports.push([...text("env"), ...text(name), 0x00, this.#type(params, result)]);
    return this.#callable(this.#importedFunctions++, result);
  }

  /** A function: `body` writes its statements and returns its result, if it has one. */
  define<P extends Types, R extends Value>(
    name: string,
    params: readonly [...P],
    result: (new (code: readonly number[]) => R) | typeof Nothing,
    body: (f: Func, ...params: Locals<P>) => R | void,
  ): Callable<P, R> {
    const f = new Func(params);
    const own = params.map((type, i) => place(type, i)) as unknown as Locals<P>;
    const value = body(f, ...own);
    return this.add(name, f, params, result, value ?? undefined);
  }

  /** A function that was written elsewhere. */
  add<P extends Types, R extends Value>(
    name: string,
    f: Func,
    params: readonly [...P],
    result: (new (code: readonly number[]) => R) | typeof Nothing,
    value?: Value,
  ): Callable<P, R> {
    this.#functions.push({ name, type: this.#type(params, result), code: f.bytes(value) });
    return this.#callable(this.#importedFunctions + this.#functions.length - 1, result);
  }

  #type(params: Types, result: (new (code: readonly number[]) => Value) | typeof Nothing): number {
    const results = result === Nothing ? [] : [[(result as ValueType<Value>).type]];
    const type = [0x60, ...vector(params.map((each) => [each.type])), ...vector(results)];
    const known = this.#types.findIndex((each) => each.join() === type.join());
    return known >= 0 ? known : this.#types.push(type) - 1;
  }

  #callable<P extends Types, R extends Value>(
    index: number,
    result: (new (code: readonly number[]) => R) | typeof Nothing,
  ): Callable<P, R> {
    return (...args) =>
      new result([...(args as Value[]).flatMap((arg) => arg.code), 0x10, ...unsigned(index)]) as R;
  }

  bytes({ minimum, maximum, shared }: Memory): Uint8Array<ArrayBuffer> {
    const HAS_MAXIMUM = 0x01;
    const IS_SHARED = 0x02;
    const limits = [HAS_MAXIMUM | (shared ? IS_SHARED : 0), ...unsigned(minimum), ...unsigned(maximum)];
    const memory = [...text("env"), ...text("memory"), 0x02, ...limits];
    const exported = this.#functions.map(({ name }, i) => [
      ...text(name),
      0x00,
      ...unsigned(this.#importedFunctions + i),
    ]);
    return Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
      ...section(1, vector(this.#types)),
      ...section(2, vector([memory, ...this.#imports])),
      ...section(3, vector(this.#functions.map(({ type }) => unsigned(type)))),
      ...section(7, vector(exported)),
      ...section(10, vector(this.#functions.map(({ code }) => code))),
    ]);
  }
}

/**
 * A module with one exported function `run` of i32 parameters and no result. It imports the memory `env.memory`,
 * and what a kernel asks for: `env.scratch`, the address of the caller's own scratch block, and `env.sin`, `env.cos`.
 */
export class Module {
  readonly run: Func;
  readonly scratch: I32;
  readonly #library = new Library();
  readonly #params: readonly (typeof I32)[];
  readonly #called = new Map<string, Callable<[typeof F64], F64>>();

  constructor(params: number) {
    this.#params = new Array<typeof I32>(params).fill(I32);
    this.run = new Func(this.#params);
    this.scratch = this.#library.global("scratch");
  }

  /** A call of an imported function of one float64. */
  call(name: "sin" | "cos", x: F64): F64 {
    let called = this.#called.get(name);
    if (!called) this.#called.set(name, (called = this.#library.import(name, [F64], F64)));
    return called(x);
  }

  bytes(memory: Memory): Uint8Array<ArrayBuffer> {
    this.#library.add("run", this.run, this.#params, Nothing);
    return this.#library.bytes(memory);
  }
}

const vector = (items: readonly (readonly number[])[]): number[] => [
  ...unsigned(items.length),
  ...items.flat(),
];
const section = (id: number, body: readonly number[]): number[] => [id, ...unsigned(body.length), ...body];
const text = (name: string): number[] => vector([...new TextEncoder().encode(name)].map((byte) => [byte]));
