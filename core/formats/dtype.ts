/**
 * Element types of tensors in files, in safetensors' spelling, listed as safetensors ranks them:
 * by growing alignment, the order its writer sorts by (descending).
 */
export const DTYPES = [
  "BOOL",
  "U8",
  "I8",
  "F8_E5M2",
  "F8_E4M3",
  "I16",
  "U16",
  "F16",
  "BF16",
  "I32",
  "U32",
  "F32",
  "F64",
  "I64",
  "U64",
] as const;

export type DTypeName = (typeof DTYPES)[number];

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A tensor on the host as files hold it: contiguous, row-major. The 16-bit and 8-bit floats stay raw bits. */
export interface HostTensor {
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

const ARRAYS = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E5M2: Uint8Array,
  F8_E4M3: Uint8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
} as const satisfies Record<DTypeName, new (buffer: ArrayBuffer) => TypedArray>;

// Files are little-endian and are viewed, not decoded.
if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1)
  throw new Error("core/formats: needs a little-endian host");

export const isDType = (name: unknown): name is DTypeName => DTYPES.includes(name as DTypeName);

/** Bytes per element. */
export const itemSize = (dtype: DTypeName): number => ARRAYS[dtype].BYTES_PER_ELEMENT;

/** Views a buffer as elements: the first `count`, or all; its length must then be a multiple of the element size. */
export const viewAs = (dtype: DTypeName, buffer: ArrayBuffer, count?: number): TypedArray =>
  new ARRAYS[dtype](buffer, 0, count);

/** The bytes under a typed array, without copying. */
export const bytesOf = (data: TypedArray): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Whether `data` is the kind of array that holds `dtype`. */
export const holds = (dtype: DTypeName, data: TypedArray): boolean => data instanceof ARRAYS[dtype];

/** PyTorch and NumPy stop at 64; a file that names more axes would make work of every step along them. */
export const MAX_AXES = 64;

/** A whole number from 0 to 2^53 - 1: a size, an offset, a count. */
export const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** Sizes or strides, one per axis. */
export const isSizes = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length <= MAX_AXES && value.every(isSize);

/**
 * Number of elements of a shape, or undefined where it is none: more than 64 axes, sizes that are no whole numbers, or
 * a product (of those that are not zero) beyond 2^53.
 */
export function countElements(shape: readonly number[]): number | undefined {
  if (!isSizes(shape)) return undefined;
  let count = 1;
  let empty = false;
  for (const size of shape) {
    if (size === 0) empty = true;
    else count *= size;
    if (count > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return empty ? 0 : count;
}
