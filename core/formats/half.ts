import type { HostTensor } from "./dtype.ts";
import { FormatError } from "./format-error.ts";
import { widen } from "./widen.ts";

/**
 * Conversions between float32 and the two 16-bit floats, on raw bits: bfloat16 (8 exponent bits, 7 of fraction) and
 * IEEE 754 half precision (5 and 10). Widening is exact. Narrowing rounds to nearest, ties to even; NaNs stay NaNs.
 */

/** Fills and returns `into`, a new array unless given. */
export const bf16ToF32 = (
  bits: Uint16Array,
  into: Float32Array = new Float32Array(bits.length),
): Float32Array => widen("BF16", bits, into);

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

/** Likewise. */
export const f16ToF32 = (
  bits: Uint16Array,
  into: Float32Array = new Float32Array(bits.length),
): Float32Array => widen("F16", bits, into);

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

/**
 * The elements of a tensor of any float type as float32; float64 is rounded. Where they are something else they are
 * written to `into`, a new array unless given. `name` is for the error.
 */
export function toFloat32(name: string, { dtype, data }: HostTensor, into?: Float32Array): Float32Array {
  if (data instanceof Float32Array) return data;
  const floats = into ?? new Float32Array(data.length);
  if (data instanceof Float64Array) floats.set(data);
  else if (dtype === "BF16") bf16ToF32(data as Uint16Array, floats);
  else if (dtype === "F16") f16ToF32(data as Uint16Array, floats);
  else throw new FormatError(name, "a tensor of F64, F32, F16 or BF16", dtype);
  return floats;
}
