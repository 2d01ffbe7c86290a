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
 * Rounds the weights of one output, to `numbers`: an array of its own unless given. bfloat16 keeps 8 bits of precision;
 * int8 keeps 7, relative to the largest weight. Its scale is a float32.
 */
export function rounded(
  weights: ArrayLike<number>,
  format: WeightFormat,
  numbers: Float32Array | Int8Array = holderOf(format, weights.length),
): Kept {
  // A function for each kind of array: one that meets several is several times as slow.
  if (numbers instanceof Int8Array) return { numbers, scale: roundToInt8(weights, numbers) };
  numbers.set(weights);
  if (format === "bfloat16")
    roundToBfloat16(new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length));
  return { numbers, scale: 1 };
}

/** @returns the scale */
function roundToInt8(weights: ArrayLike<number>, numbers: Int8Array): number {
  let largest = 0;
  for (let k = 0; k < weights.length; k++) largest = Math.max(largest, Math.abs(weights[k]));
  if (largest === 0) numbers.fill(0);
  else for (let k = 0; k < numbers.length; k++) numbers[k] = Math.floor((weights[k] / largest) * 127 + 0.5);
  return Math.fround(largest / 127);
}

function roundToBfloat16(bits: Uint32Array): void {
  for (let k = 0; k < bits.length; k++) bits[k] = toBfloat16(bits[k]);
}

/** The bits of a float32 with nothing in their lower half, rounded to nearest, ties to even; NaN stays NaN. */
function toBfloat16(bits: number): number {
  const notANumber = (bits & 0x7fff_ffff) > 0x7f80_0000;
  const upper = notANumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  return upper << 16;
}
