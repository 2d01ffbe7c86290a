import { ARRAYS, type TensorData } from "./dtype.ts";
import {
  type DTypeName,
  floatPieces,
  type HostTensor,
  type LazyTensor,
  piecesOf,
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
export function mismatchOf(
  tensor: Pick<Tensor, "shape" | "dtype">,
  from: HostTensor | LazyTensor,
): string | null {
  if (!sameShape(tensor.shape, from.shape)) {
    return `expected ${showShape(tensor.shape)}, got ${showShape(from.shape)}`;
  }
  const integer = tensor.dtype === "int32";
  const kinds: readonly DTypeName[] = integer ? ["I64", "I32"] : ["F32", "F64", "BF16", "F16"];
  if (kinds.includes(from.dtype) || (!integer && isScaled(from))) return null;
  return `expected one of ${kinds.join(", ")}, got ${from.dtype}`;
}

/**
 * Overwrites a tensor with what a file holds, rounded to the tensor's dtype, piece by piece where the host can look at
 * the tensor's memory. Throws for another shape or kind of number.
 */
export function setHost(tensor: Tensor, from: HostTensor | LazyTensor, who: string): void {
  const problem = mismatchOf(tensor, from);
  if (problem) throw new Error(`${who}: ${problem}`);
  const whole = tensor.storage.data ? null : new ARRAYS[tensor.dtype](tensor.size);
  const target = whole ?? tensor.data;
  let at = 0;
  for (const piece of numberPieces(from, who)) {
    target.set(piece, at);
    at += piece.length;
  }
  if (at !== tensor.size) throw new Error(`${who}: expected ${tensor.size} numbers, got ${at}`);
  if (whole) tensor.write(whole);
}

/** Numbers that a tensor can be set to; those of 64 bits as they are. */
function* numberPieces(from: HostTensor | LazyTensor, who: string): Iterable<TensorData> {
  const isFloat = from.dtype === "BF16" || from.dtype === "F16" || isScaled(from);
  if (isFloat) {
    yield* floatPieces(who, from);
    return;
  }
  for (const piece of piecesOf(from)) {
    if (!(piece instanceof BigInt64Array)) yield piece as TensorData;
    else {
      const wide = piece.find((value) => BigInt.asIntN(32, value) !== value);
      if (wide !== undefined) throw new Error(`${who}: index ${wide} does not fit 32 bits`);
      yield Int32Array.from(piece, Number);
    }
  }
}

const isScaled = (from: HostTensor | LazyTensor): boolean => "scales" in from && from.scales !== undefined;

/** The tensors of an open file by name, each read when asked for. */
export function lazyTensors(file: SafetensorsFile): Map<string, LazyTensor> {
  return new Map(
    [...file.tensors].map(([name, { dtype, shape }]) => [
      name,
      {
        dtype,
        shape,
        read: () => file.read(name).data,
        pieces: (unit: number) => file.pieces(name, unit),
      },
    ]),
  );
}
