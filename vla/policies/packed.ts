import ndarray from "ndarray";
import type { Observation } from "../observation.ts";

/** An observation as messages between threads can carry it: pictures without their methods. */
export type Packed = Readonly<Record<string, Float64Array | PackedImage>>;
interface PackedImage {
  readonly data: Uint8Array;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
}

export function pack(seen: Observation): Packed {
  const entries = Object.entries(seen).map(([key, value]) => {
    if (value instanceof Float64Array) return [key, value] as const;
    const { data, shape, stride, offset } = value;
    return [key, { data, shape, stride, offset }] as const;
  });
  return Object.fromEntries(entries);
}

export function unpack(packed: Packed): Observation {
  const entries = Object.entries(packed).map(([key, value]) => {
    if (value instanceof Float64Array) return [key, value];
    const { data, shape, stride, offset } = value;
    return [key, ndarray(data, [...shape], [...stride], offset)];
  });
  return Object.fromEntries(entries);
}
