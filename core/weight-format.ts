/** How weights that stay as they are may be kept. Where memory is the limit, time follows the bytes. */
export type WeightFormat = "float32" | "bfloat16" | "int8";

export const WEIGHT_BYTES: Readonly<Record<WeightFormat, number>> = { float32: 4, bfloat16: 2, int8: 1 };

/** Numbers as a format keeps them: number k is `numbers[k] * scale`. Only int8 has another scale than 1. */
export interface Kept {
  readonly numbers: Float32Array | Float64Array | Int8Array;
  readonly scale: number;
}

/** What `rounded` may write to, for weights of so many inputs. */
export const holderOf = (format: WeightFormat, inputs: number): Float32Array | Int8Array =>
  format === "int8" ? new Int8Array(inputs) : new Float32Array(inputs);

/**
 * Rounds the weights of one output, to `numbers`: an array of its own unless given. bfloat16 keeps 8 bits of precision; int8 keeps 7, relative to the largest weight. Its
 * scale is a float32.
 */
export function rounded(
  weights: ArrayLike<number>,
  format: WeightFormat,
  numbers: Float32Array | Int8Array = holderOf(format, weights.length),
): Kept {
  if (format === "int8") {
    let largest = 0;
    for (let k = 0; k < weights.length; k++) largest = Math.max(largest, Math.abs(weights[k]));
    for (let k = 0; k < weights.length; k++) numbers[k] = Math.round((weights[k] / largest || 0) * 127);
    return { numbers, scale: Math.fround(largest / 127) };
  }
  numbers.set(weights);
  if (format === "bfloat16") {
    const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    for (let k = 0; k < bits.length; k++) bits[k] = toBfloat16(bits[k]);
  }
  return { numbers, scale: 1 };
}

/** The bits of a float32 with nothing in their lower half, rounded to nearest, ties to even; NaN stays NaN. */
function toBfloat16(bits: number): number {
  const notANumber = (bits & 0x7fff_ffff) > 0x7f80_0000;
  const upper = notANumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  return upper << 16;
}
