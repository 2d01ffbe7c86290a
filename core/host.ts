import {
  bf16ToF32,
  type DTypeName,
  f16ToF32,
  type HostTensor,
  type LazyTensor,
  type SafetensorsFile,
} from "./formats/index.ts";
import { sameShape, showShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** A copy as files hold it. Integers become I64, as PyTorch writes index buffers. */
export function toHost(tensor: Tensor): HostTensor {
  const shape = [...tensor.shape];
  switch (tensor.dtype) {
    case "float32":
      return { dtype: "F32", shape, data: Float32Array.from(tensor.data) };
    case "float64":
      return { dtype: "F64", shape, data: Float64Array.from(tensor.data) };
    case "int32":
      return { dtype: "I64", shape, data: BigInt64Array.from(tensor.data, BigInt) };
  }
}

/** Why a tensor cannot take what a file holds, or null: another shape, or integers for numbers. */
export function misfit(tensor: Tensor, from: HostTensor | LazyTensor): string | null {
  if (!sameShape(tensor.shape, from.shape)) {
    return `expected ${showShape(tensor.shape)}, got ${showShape(from.shape)}`;
  }
  const integer = tensor.dtype === "int32";
  const kinds: readonly DTypeName[] = integer ? ["I64", "I32"] : ["F32", "F64", "BF16", "F16"];
  return kinds.includes(from.dtype) ? null : `expected one of ${kinds.join(", ")}, got ${from.dtype}`;
}

/** Overwrites a tensor with what a file holds, rounded to the tensor's dtype. Throws for another shape or kind of number. */
export function setHost(tensor: Tensor, from: HostTensor | LazyTensor, who: string): void {
  const problem = misfit(tensor, from);
  if (problem) throw new Error(`${who}: ${problem}`);
  const data = "data" in from ? from.data : from.read();
  if (from.dtype === "BF16") tensor.data.set(bf16ToF32(data as Uint16Array));
  else if (from.dtype === "F16") tensor.data.set(f16ToF32(data as Uint16Array));
  else if (data instanceof BigInt64Array) {
    data.forEach((value, i) => {
      if (BigInt.asIntN(32, value) !== value) throw new Error(`${who}: index ${value} does not fit 32 bits`);
      tensor.data[i] = Number(value);
    });
  } else tensor.data.set(data as Float32Array);
}

/** The tensors of an open file by name, each read when asked for. */
export function lazily(file: SafetensorsFile): Map<string, LazyTensor> {
  return new Map(
    [...file.tensors].map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape, read: () => file.read(name).data },
    ]),
  );
}
