/** Reading memory: values that lie at an address. Stores are statements, and so methods of `Func` (assembler.ts). */
import { unsigned } from "./leb128.ts";
import { F32x4, F64x2, I16x8, I32, join, simd, type Value, type ValueType } from "./values.ts";

/** The number or vector at `address + offset`. */
export function load<T extends Value>(type: ValueType<T>, address: I32, offset = 0): T {
  const { load: op, align } = type.memory;
  return new type(join([...op, align, ...unsigned(offset)], address));
}

/** The byte at `address + offset`, unsigned. */
export function loadByte(address: I32, offset = 0): I32 {
  return new I32(join([0x2d, 0, ...unsigned(offset)], address));
}

/** The eight signed bytes at `address + offset`, widened. */
export function loadBytes(address: I32, offset = 0): I16x8 {
  return new I16x8(join(simd(0x01, 0, ...unsigned(offset)), address));
}

/** The float at `address + offset`, four times. */
export function loadSplat(address: I32, offset = 0): F32x4 {
  return new F32x4(join(simd(0x09, 2, ...unsigned(offset)), address));
}

/** The float64 at `address + offset`, twice. */
export function loadBoth(address: I32, offset = 0): F64x2 {
  return new F64x2(join(simd(0x0a, 3, ...unsigned(offset)), address));
}

/** `into` with one lane read from `address + offset`. */
export function loadHalf(into: F64x2, lane: number, address: I32, offset = 0): F64x2 {
  return new F64x2(join(simd(0x57, 3, ...unsigned(offset), lane), address, into));
}

/** The float at `address + offset`, then zeros. */
export function loadOne(address: I32, offset = 0): F32x4 {
  return new F32x4(join(simd(0x5c, 2, ...unsigned(offset)), address));
}

/** The two floats at `address + offset`, then zeros. */
export function loadTwo(address: I32, offset = 0): F32x4 {
  return new F32x4(join(simd(0x5d, 2, ...unsigned(offset)), address));
}

/** `into` with one lane read from `address + offset`. */
export function loadLane(into: F32x4, lane: number, address: I32, offset = 0): F32x4 {
  return new F32x4(join(simd(0x56, 2, ...unsigned(offset), lane), address, into));
}
