import { refuse } from "./check.ts";

/**
 * Element types. float32 is what fast kernels work on; float64 runs on the plain kernels and is what the
 * verification suites use; int32 holds token ids and indices.
 */
export type DType = "float32" | "float64" | "int32";
export type TensorData = Float32Array | Float64Array | Int32Array;

/** The arrays that hold numbers of each type on the host. */
export const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;

/** Bytes of one number. */
export const bytesOf = (dtype: DType): number => (dtype === "float64" ? 8 : 4);

export function checkDType(dtype: DType, who: string): void {
  if (!Object.hasOwn(ARRAYS, dtype)) refuse(who, "float32, float64 or int32", dtype);
}
