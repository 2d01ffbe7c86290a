import type { HostTensor } from "./dtype.ts";
import { FormatError } from "./format-error.ts";

/**
 * Conversions between float32 and the two 16-bit floats, on raw bits: bfloat16 (8 exponent bits, 7 of fraction) and
 * IEEE 754 half precision (5 and 10). Widening is exact. Narrowing rounds to nearest, ties to even; NaNs stay NaNs.
 */

/** bfloat16 is the upper half of a float32. */
export function bf16ToF32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16;
  return new Float32Array(wide.buffer);
}

export function f32ToBf16(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const w = wide[i];
    // Adding half a unit, less one bit where the kept part is even, carries exactly when rounding goes up.
    // A NaN would carry into infinity: it keeps its upper bits and gets a quiet bit.
    bits[i] = (w & 0x7fffffff) > 0x7f800000 ? (w >>> 16) | 0x40 : (w + 0x7fff + ((w >>> 16) & 1)) >>> 16;
  }
  return bits;
}

let halves: Float32Array | undefined;

export function f16ToF32(bits: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, h) => widenHalf(h));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]];
  return values;
}

function widenHalf(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >>> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24; // subnormal
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

export function f32ToF16(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = narrowToHalf(wide[i]);
  return bits;
}

function narrowToHalf(w: number): number {
  const sign = (w >>> 16) & 0x8000;
  const magnitude = w & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude >= 0x38800000) {
    // 2^-14 and above: rebias the exponent (127 to 15), drop 13 bits; a carry moves into the exponent as it should.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // 2^-25 ties to the even neighbour, zero
  // Subnormal: the value in units of 2^-24, whose fraction has `drop` bits too many.
  const drop = 126 - (magnitude >>> 23);
  const whole = 0x800000 | (magnitude & 0x7fffff);
  const kept = whole >>> drop;
  const rest = whole & ((1 << drop) - 1);
  const half = 1 << (drop - 1);
  return sign | (kept + (rest > half || (rest === half && kept & 1) ? 1 : 0));
}

/** The elements of a tensor of any float type as float32; float64 is rounded. `name` is for the error. */
export function toFloat32(name: string, { dtype, data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  if (dtype === "BF16") return bf16ToF32(data as Uint16Array);
  if (dtype === "F16") return f16ToF32(data as Uint16Array);
  throw new FormatError(name, "a tensor of F64, F32, F16 or BF16", dtype);
}
