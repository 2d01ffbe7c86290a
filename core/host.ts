import type { TensorData } from "./dtype.ts";
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

/** A copy as files hold it, of a tensor on cpu. Integers become I64, as PyTorch writes index buffers. */
export const toHost = (tensor: Tensor): HostTensor => asInFiles(tensor, tensor.data);

/** The same of a tensor on any device. */
export const readHost = async (tensor: Tensor): Promise<HostTensor> => asInFiles(tensor, await tensor.read());

function asInFiles({ dtype, shape: lengths }: Tensor, numbers: TensorData): HostTensor {
  const shape = [...lengths];
  switch (dtype) {
    case "float32":
      return { dtype: "F32", shape, data: Float32Array.from(numbers) };
    case "float64":
      return { dtype: "F64", shape, data: Float64Array.from(numbers) };
    case "int32":
      return { dtype: "I64", shape, data: BigInt64Array.from(numbers, BigInt) };
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
  if (from.dtype === "BF16") tensor.write(bf16ToF32(data as Uint16Array));
  else if (from.dtype === "F16") tensor.write(f16ToF32(data as Uint16Array));
  else if (data instanceof BigInt64Array) {
    const wide = data.find((value) => BigInt.asIntN(32, value) !== value);
    if (wide !== undefined) throw new Error(`${who}: index ${wide} does not fit 32 bits`);
    tensor.write(Int32Array.from(data, Number));
  } else tensor.write(data as Float32Array);
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
