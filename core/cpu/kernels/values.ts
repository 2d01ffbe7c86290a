/**
 * Expressions of the assembler. A value is code that leaves one number (or one vector of 16 bytes) on the stack;
 * methods build larger ones, so that a kernel reads like the formula it computes:
 *
 *     f.set(sum, sum.add(load(F32x4, x).mul(scale)))
 *
 * A value used twice is computed twice, unless `f.let(value)` gave it a local. Opcodes are those of the
 * WebAssembly specification, section 5.4, and of the SIMD and relaxed SIMD proposals it took in. Numbers and vectors
 * make each other (`splat`, `lane`), hence one file.
 */
import { signed, unsigned } from "./leb128.ts";

type Code = readonly number[];

export abstract class Value {
  readonly code: Code;
  constructor(code: Code) {
    this.code = code;
  }
}

/** The class of a value, as a token for its WebAssembly type. */
export interface ValueType<T extends Value> {
  new (code: Code): T;
  /** Byte of the type in the binary format. */
  readonly type: number;
  /** Opcodes of a whole load and store, and log₂ of the alignment promised. */
  readonly memory: { readonly load: Code; readonly store: Code; readonly align: number };
}

/** The code of an instruction behind that of its operands. */
export const join = (op: Code, ...operands: Value[]): number[] => [...operands.flatMap((x) => x.code), ...op];
/** The bytes of a SIMD instruction. */
export const simd = (op: number, ...immediates: number[]): number[] => [0xfd, ...unsigned(op), ...immediates];

/** A 32-bit integer: an address, a length or a counter. Comparisons and division are unsigned. */
export class I32 extends Value {
  static readonly type = 0x7f;
  static readonly memory = { load: [0x28], store: [0x36], align: 2 };

  #op(op: number, b: I32 | number): I32 {
    return new I32(join([op], this, int(b)));
  }
  add(b: I32 | number): I32 {
    return b === 0 ? this : this.#op(0x6a, b);
  }
  sub(b: I32 | number): I32 {
    return b === 0 ? this : this.#op(0x6b, b);
  }
  mul(b: I32 | number): I32 {
    return b === 1 ? this : this.#op(0x6c, b);
  }
  div(b: I32 | number): I32 {
    return b === 1 ? this : this.#op(0x6e, b);
  }
  rem(b: I32 | number): I32 {
    return this.#op(0x70, b);
  }
  and(b: I32 | number): I32 {
    return this.#op(0x71, b);
  }
  or(b: I32 | number): I32 {
    return this.#op(0x72, b);
  }
  shl(b: I32 | number): I32 {
    return b === 0 ? this : this.#op(0x74, b);
  }
  shr(b: I32 | number): I32 {
    return b === 0 ? this : this.#op(0x76, b);
  }
  /** Shift that keeps the sign. */
  shrSigned(b: I32 | number): I32 {
    return this.#op(0x75, b);
  }
  eq(b: I32 | number): I32 {
    return this.#op(0x46, b);
  }
  ne(b: I32 | number): I32 {
    return this.#op(0x47, b);
  }
  lt(b: I32 | number): I32 {
    return this.#op(0x49, b);
  }
  gt(b: I32 | number): I32 {
    return this.#op(0x4b, b);
  }
  ge(b: I32 | number): I32 {
    return this.#op(0x4f, b);
  }
  /** this < b, both signed. */
  ltSigned(b: I32 | number): I32 {
    return this.#op(0x48, b);
  }
  /** this > b, both signed. */
  gtSigned(b: I32 | number): I32 {
    return this.#op(0x4a, b);
  }
  /** this ≠ 0 ? a : b; both are computed. */
  pick<T extends Value>(a: T, b: T): T {
    return new (a.constructor as ValueType<T>)(join([0x1b], a, b, this));
  }
  /** this ≠ 0 ? a : b; both are computed. */
  select(a: I32 | number, b: I32 | number): I32 {
    return new I32(join([0x1b], int(a), int(b), this));
  }
  min(b: I32): I32 {
    return this.lt(b).select(this, b);
  }
  /** The float32 whose bits these are. */
  asF32(): F32 {
    return new F32(join([0xbe], this));
  }
  toF32(): F32 {
    return new F32(join([0xb3], this));
  }
  /** As a signed number. */
  toF64(): F64 {
    return new F64(join([0xb7], this));
  }
  splat(): I32x4 {
    return new I32x4(join(simd(0x11), this));
  }
}

/** A 32-bit float. */
export class F32 extends Value {
  static readonly type = 0x7d;
  static readonly memory = { load: [0x2a], store: [0x38], align: 2 };

  toF64(): F64 {
    return new F64(join([0xbb], this));
  }
  eq(b: F32): I32 {
    return new I32(join([0x5b], this, b));
  }
  lt(b: F32): I32 {
    return new I32(join([0x5d], this, b));
  }
  splat(): F32x4 {
    return new F32x4(join(simd(0x13), this));
  }
}

/** A 64-bit float. */
export class F64 extends Value {
  static readonly type = 0x7c;
  static readonly memory = { load: [0x2b], store: [0x39], align: 3 };

  #op(op: number, ...operands: F64[]): F64 {
    return new F64(join([op], this, ...operands));
  }
  #is(op: number, b: F64 | number): I32 {
    return new I32(join([op], this, double(b)));
  }
  add(b: F64 | number): F64 {
    return this.#op(0xa0, double(b));
  }
  sub(b: F64 | number): F64 {
    return this.#op(0xa1, double(b));
  }
  mul(b: F64 | number): F64 {
    return this.#op(0xa2, double(b));
  }
  div(b: F64 | number): F64 {
    return this.#op(0xa3, double(b));
  }
  abs(): F64 {
    return this.#op(0x99);
  }
  neg(): F64 {
    return this.#op(0x9a);
  }
  ceil(): F64 {
    return this.#op(0x9b);
  }
  floor(): F64 {
    return this.#op(0x9c);
  }
  eq(b: F64 | number): I32 {
    return this.#is(0x61, b);
  }
  lt(b: F64 | number): I32 {
    return this.#is(0x63, b);
  }
  gt(b: F64 | number): I32 {
    return this.#is(0x64, b);
  }
  le(b: F64 | number): I32 {
    return this.#is(0x65, b);
  }
  ge(b: F64 | number): I32 {
    return this.#is(0x66, b);
  }
  toF32(): F32 {
    return new F32(join([0xb6], this));
  }
  /** Towards zero, to the nearest that is signed; 0 for NaN. */
  toI32(): I32 {
    return new I32(join([0xfc, 0x02], this));
  }
  splat(): F64x2 {
    return new F64x2(join(simd(0x14), this));
  }
}

/** Sixteen bytes. Its subclasses say how the bytes are read; `as` reads them another way. */
export abstract class V128 extends Value {
  static readonly type = 0x7b;
  static readonly memory = { load: simd(0x00), store: simd(0x0b), align: 2 };

  as<T extends V128>(type: ValueType<T>): T {
    return new type(this.code);
  }
  /** An operation whose result is read like this vector. */
  protected same(op: number | Code, ...operands: Value[]): this {
    const type = this.constructor as ValueType<this>;
    return new type(join(typeof op === "number" ? simd(op) : op, this, ...operands));
  }
  and(b: V128): this {
    return this.same(0x4e, b);
  }
  /** this & ~b */
  andNot(b: V128): this {
    return this.same(0x4f, b);
  }
  or(b: V128): this {
    return this.same(0x50, b);
  }
  xor(b: V128): this {
    return this.same(0x51, b);
  }
  /** The four 32-bit lanes picked from those of this (0 to 3) and b (4 to 7). */
  shuffle(b: V128, lanes: readonly [number, number, number, number]): this {
    const bytes = lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
    return this.same(simd(0x0d, ...bytes), b);
  }
  /** The bytes of this with these numbers; 0 for numbers from 16 on. */
  swizzle(bytes: I8x16): this {
    return this.same(0x0e, bytes);
  }
}

/** Sixteen 8-bit integers. */
export class I8x16 extends V128 {
  /** The lower eight, unsigned, widened. */
  lowToI16x8(): I16x8 {
    return new I16x8(join(simd(0x89), this));
  }
  /** The upper eight, likewise. */
  highToI16x8(): I16x8 {
    return new I16x8(join(simd(0x8a), this));
  }
  /** The sums of unsigned numbers, 255 where they are more. */
  addSaturated(b: I8x16): I8x16 {
    return this.same(0x70, b);
  }
}

/** Four 32-bit integers; as a mask, lanes of all ones or all zeros. Comparisons are signed. */
export class I32x4 extends V128 {
  static splat(value: number): I32x4 {
    return int(value).splat();
  }
  static of(a: number, b: number, c: number, d: number): I32x4 {
    return new I32x4(simd(0x0c, ...new Uint8Array(Int32Array.of(a, b, c, d).buffer)));
  }
  add(b: I32x4): I32x4 {
    return this.same(0xae, b);
  }
  sub(b: I32x4): I32x4 {
    return this.same(0xb1, b);
  }
  /** The 64-bit products of the unsigned lanes 0 and 1: low word, high word, low word, high word. */
  lowProducts(b: I32x4): I32x4 {
    return this.same(0xde, b);
  }
  /** Those of lanes 2 and 3. */
  highProducts(b: I32x4): I32x4 {
    return this.same(0xdf, b);
  }
  shl(bits: number): I32x4 {
    return this.same(0xab, int(bits));
  }
  /** Shift that keeps the sign. */
  shrSigned(bits: number): I32x4 {
    return this.same(0xac, int(bits));
  }
  shr(bits: number): I32x4 {
    return this.same(0xad, int(bits));
  }
  eq(b: I32x4): I32x4 {
    return this.same(0x37, b);
  }
  lt(b: I32x4): I32x4 {
    return this.same(0x39, b);
  }
  gt(b: I32x4): I32x4 {
    return this.same(0x3b, b);
  }
  /** Lane by lane: this ? a : b, where this is a mask. */
  select<T extends V128>(a: T, b: T): T {
    return new (a.constructor as ValueType<T>)(join(simd(0x52), a, b, this));
  }
  /** 1 when any bit is set. */
  any(): I32 {
    return new I32(join(simd(0x53), this));
  }
  /** 1 when no lane is 0. */
  all(): I32 {
    return new I32(join(simd(0xa3), this));
  }
  lane(lane: number): I32 {
    return new I32(join(simd(0x1b, lane), this));
  }
  withLane(lane: number, x: I32): I32x4 {
    return new I32x4(join(simd(0x1c, lane), this, x));
  }
  toF32x4(): F32x4 {
    return new F32x4(join(simd(0xfa), this));
  }
  /** Lanes 0 and 1 in double precision. */
  lowToF64(): F64x2 {
    return new F64x2(join(simd(0xfe), this));
  }
  /** These and those of b as 16-bit integers, the nearest there are. */
  narrow(b: I32x4): I16x8 {
    return new I16x8(join(simd(0x85), this, b));
  }
}

/** Four 32-bit floats. */
export class F32x4 extends V128 {
  /** The same number four times. Keep it in a local outside the loop: as a constant it is rebuilt at each use. */
  static splat(value: number): F32x4 {
    return float(value).splat();
  }
  static zero(): F32x4 {
    return new F32x4(simd(0x0c, ...new Array<number>(16).fill(0)));
  }
  add(b: F32x4): F32x4 {
    return this.same(0xe4, b);
  }
  sub(b: F32x4): F32x4 {
    return this.same(0xe5, b);
  }
  mul(b: F32x4): F32x4 {
    return this.same(0xe6, b);
  }
  div(b: F32x4): F32x4 {
    return this.same(0xe7, b);
  }
  abs(): F32x4 {
    return this.same(0xe0);
  }
  neg(): F32x4 {
    return this.same(0xe1);
  }
  floor(): F32x4 {
    return this.same(0x68);
  }
  sqrt(): F32x4 {
    return this.same(0xe3);
  }
  /** The smaller; NaN if either is NaN. Several instructions: see `pmin`. */
  min(b: F32x4): F32x4 {
    return this.same(0xe8, b);
  }
  /** The larger; NaN if either is NaN. */
  max(b: F32x4): F32x4 {
    return this.same(0xe9, b);
  }
  /** b < this ? b : this, one instruction. A NaN in this stays. */
  pmin(b: F32x4): F32x4 {
    return this.same(0xea, b);
  }
  /** this < b ? b : this, one instruction. A NaN in this stays. */
  pmax(b: F32x4): F32x4 {
    return this.same(0xeb, b);
  }
  eq(b: F32x4): I32x4 {
    return this.same(0x41, b).as(I32x4);
  }
  lt(b: F32x4): I32x4 {
    return this.same(0x43, b).as(I32x4);
  }
  gt(b: F32x4): I32x4 {
    return this.same(0x44, b).as(I32x4);
  }
  lane(lane: number): F32 {
    return new F32(join(simd(0x1f, lane), this));
  }
  withLane(lane: number, x: F32): F32x4 {
    return new F32x4(join(simd(0x20, lane), this, x));
  }
  /** Lanes 0 and 1 in double precision. */
  lowToF64(): F64x2 {
    return new F64x2(join(simd(0x5f), this));
  }
  /** This times b plus c, rounded once or twice as the engine likes. */
  relaxedMadd(b: F32x4, c: F32x4): F32x4 {
    return this.same(0x105, b, c);
  }
  /** c minus this times b. */
  relaxedNmadd(b: F32x4, c: F32x4): F32x4 {
    return this.same(0x106, b, c);
  }
}

/** Two 64-bit floats. */
export class F64x2 extends V128 {
  static splat(value: number): F64x2 {
    return double(value).splat();
  }
  add(b: F64x2): F64x2 {
    return this.same(0xf0, b);
  }
  sub(b: F64x2): F64x2 {
    return this.same(0xf1, b);
  }
  mul(b: F64x2): F64x2 {
    return this.same(0xf2, b);
  }
  div(b: F64x2): F64x2 {
    return this.same(0xf3, b);
  }
  neg(): F64x2 {
    return this.same(0xed);
  }
  sqrt(): F64x2 {
    return this.same(0xef);
  }
  ceil(): F64x2 {
    return this.same(0x74);
  }
  floor(): F64x2 {
    return this.same(0x75);
  }
  nearest(): F64x2 {
    return this.same(0x94);
  }
  /** b < this ? b : this, one instruction. A NaN in this stays. */
  pmin(b: F64x2): F64x2 {
    return this.same(0xf6, b);
  }
  /** this < b ? b : this, one instruction. A NaN in this stays. */
  pmax(b: F64x2): F64x2 {
    return this.same(0xf7, b);
  }
  lt(b: F64x2): I32x4 {
    return this.same(0x49, b).as(I32x4);
  }
  gt(b: F64x2): I32x4 {
    return this.same(0x4a, b).as(I32x4);
  }
  lane(lane: number): F64 {
    return new F64(join(simd(0x21, lane), this));
  }
  withLane(lane: number, x: F64): F64x2 {
    return new F64x2(join(simd(0x22, lane), this, x));
  }
  /** The lanes, the other way round. */
  swapped(): F64x2 {
    return this.shuffle(this, [2, 3, 0, 1]);
  }
  /** Both as float32 in lanes 0 and 1, zeros above. */
  toF32x4(): F32x4 {
    return new F32x4(join(simd(0x5e), this));
  }
  /** Both as signed integers in lanes 0 and 1, zeros above. */
  toI32x4(): I32x4 {
    return new I32x4(join(simd(0xfc), this));
  }
}

/** Eight 16-bit integers. */
export class I16x8 extends V128 {
  add(b: I16x8): I16x8 {
    return this.same(0x8e, b);
  }
  /** The lower four, unsigned, widened. */
  lowToU32x4(): I32x4 {
    return new I32x4(join(simd(0xa9), this));
  }
  /** The upper four. */
  highToU32x4(): I32x4 {
    return new I32x4(join(simd(0xaa), this));
  }
  /** The lower four, widened with their signs. */
  lowToI32x4(): I32x4 {
    return new I32x4(join(simd(0xa7), this));
  }
  /** The upper four. */
  highToI32x4(): I32x4 {
    return new I32x4(join(simd(0xa8), this));
  }
  /** Signed products of neighbours added: this₀ b₀ + this₁ b₁, … */
  dot(b: I16x8): I32x4 {
    return new I32x4(join(simd(0xba), this, b));
  }
}

/** A constant, unless it is a value already. */
export function int(x: I32 | number): I32 {
  return typeof x === "number" ? new I32([0x41, ...signed(x)]) : x;
}

/** A float64 constant, unless it is a value already. */
export function double(x: F64 | number): F64 {
  return typeof x === "number" ? new F64([0x44, ...new Uint8Array(Float64Array.of(x).buffer)]) : x;
}

/** A float32 constant. */
export function float(x: number): F32 {
  return new F32([0x43, ...new Uint8Array(Float32Array.of(x).buffer)]);
}
