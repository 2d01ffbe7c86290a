/**
 * A small WebAssembly assembler: modules, functions, typed locals and control flow around the expressions of
 * values.ts. Enough for kernels over one imported memory, and no more.
 */
import { unsigned } from "./leb128.ts";
import { F32x4, F64, I32, I32x4, int, type V128, type Value, type ValueType } from "./values.ts";

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
  readonly params: readonly Local<I32>[];
  readonly #locals: number[] = [];
  readonly #constants = new Map<string, Local>();
  readonly #prologue: number[] = [];
  readonly #code: number[] = [];
  #depth = 0;

  constructor(params: number) {
    this.params = Array.from({ length: params }, (_, index) => place(I32, index));
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

  /** Repeats the body until the condition, computed after it, is false. */
  repeatWhile(body: () => void, condition: () => I32): void {
    this.loop((again) => {
      body();
      this.branchIf(condition(), again);
    });
  }

  /** The function as it stands in the code section. */
  bytes(): number[] {
    const locals = vector(this.#locals.map((type) => [1, type]));
    const body = [...locals, ...this.#prologue, ...this.#code, 0x0b];
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

/**
 * A module with one exported function `run` of i32 parameters and no result. It imports the memory `env.memory`,
 * and what a kernel asks for: `env.scratch`, the address of the caller's own scratch block, and `env.sin`, `env.cos`.
 */
export class Module {
  readonly run: Func;
  readonly scratch: I32 = new I32([0x23, 0]);
  readonly #imports: string[] = [];

  constructor(params: number) {
    this.run = new Func(params);
  }

  /** A call of an imported function of one float64. */
  call(name: "sin" | "cos", x: F64): F64 {
    let index = this.#imports.indexOf(name);
    if (index < 0) index = this.#imports.push(name) - 1;
    return new F64([...x.code, 0x10, ...unsigned(index)]);
  }

  bytes(memory: { minimum: number; maximum: number }): Uint8Array<ArrayBuffer> {
    const RUN = 0;
    const MATH = 1;
    const types = [
      [0x60, ...vector(this.run.params.map(() => [I32.type])), 0],
      [0x60, ...vector([[F64.type]]), ...vector([[F64.type]])],
    ];
    const SHARED_WITH_MAXIMUM = 0x03;
    const imports = [
      [
        ...name("env"),
        ...name("memory"),
        0x02,
        SHARED_WITH_MAXIMUM,
        ...unsigned(memory.minimum),
        ...unsigned(memory.maximum),
      ],
      [...name("env"), ...name("scratch"), 0x03, I32.type, 0],
      ...this.#imports.map((own) => [...name("env"), ...name(own), 0x00, MATH]),
    ];
    return Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
      ...section(1, vector(types)),
      ...section(2, vector(imports)),
      ...section(3, vector([[RUN]])),
      ...section(7, vector([[...name("run"), 0x00, ...unsigned(this.#imports.length)]])),
      ...section(10, vector([this.run.bytes()])),
    ]);
  }
}

const vector = (items: readonly (readonly number[])[]): number[] => [
  ...unsigned(items.length),
  ...items.flat(),
];
const section = (id: number, body: readonly number[]): number[] => [id, ...unsigned(body.length), ...body];
const name = (text: string): number[] => vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
