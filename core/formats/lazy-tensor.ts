import { allocateBytes, type ByteSource, readBlocks } from "./byte-source.ts";
import {
  bytesOf,
  countElements,
  type DTypeName,
  type HostTensor,
  itemSize,
  type TypedArray,
  viewAs,
} from "./dtype.ts";
import { FormatError } from "./format-error.ts";
import { toFloat32 } from "./half.ts";

/** A tensor whose elements are produced when they are asked for. */
export interface LazyTensor {
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  /** All elements. */
  read(): TypedArray;
  /** The same in pieces, where they can be had so: see `piecesOf`. */
  pieces?(unit: number): Iterable<TypedArray>;
  /**
   * Of I8 numbers that stand for others: the scale of each row, float32 (rows). Element k of row r stands for
   * numbers[r, k] · scales[r]. See `withScales`.
   */
  readonly scales?: LazyTensor;
}

/** Bytes of a piece: little enough to stay in a processor's cache on the way from the file to where it goes. */
const PIECE = 2 ** 20;

/**
 * The elements of a tensor in order, piece by piece, so that no tensor needs to fit into memory twice. The length of
 * each piece is a multiple of `unit`, which divides the number of elements. A piece lasts until the next is asked for.
 */
export function piecesOf(tensor: HostTensor | LazyTensor, unit = 1): Iterable<TypedArray> {
  if ("data" in tensor) return [tensor.data];
  return tensor.pieces?.(unit) ?? [tensor.read()];
}

/** A tensor of which there are only pieces, as `piecesOf` gives them. */
export function fromPieces(
  dtype: DTypeName,
  shape: readonly number[],
  pieces: (unit: number) => Iterable<TypedArray>,
): LazyTensor {
  const read = (): TypedArray => {
    const bytes = allocateBytes("a tensor", (countElements(shape) as number) * itemSize(dtype));
    let at = 0;
    for (const piece of pieces(1)) {
      bytes.set(bytesOf(piece), at);
      at += piece.byteLength;
    }
    return viewAs(dtype, bytes.buffer);
  };
  return { dtype, shape, read, pieces };
}

/**
 * The same as float32, whatever floats they are, or what I8 numbers with scales stand for: of these, `unit` goes into
 * rows, or rows into it. `name` is for errors.
 */
export function* floatPieces(
  name: string,
  tensor: HostTensor | LazyTensor,
  unit = 1,
): Iterable<Float32Array> {
  if ("scales" in tensor && tensor.scales) {
    yield* scaledPieces(tensor, tensor.scales, unit);
    return;
  }
  let floats = new Float32Array(0);
  for (const data of piecesOf(tensor, unit)) {
    if (data instanceof Float32Array) {
      yield data;
    } else {
      if (floats.length < data.length) floats = new Float32Array(data.length);
      yield toFloat32(name, { ...tensor, data }, floats.subarray(0, data.length));
    }
  }
}

function* scaledPieces(tensor: LazyTensor, rows: LazyTensor, unit: number): Iterable<Float32Array> {
  const scales = rows.read();
  const width = tensor.shape.slice(1).reduce((product, size) => product * size, 1);
  let row = 0;
  for (const numbers of piecesOf(tensor, unit % width === 0 ? unit : width)) {
    const floats = new Float32Array(numbers.length);
    for (let at = 0; at < floats.length; row++) {
      const scale = scales[row] as number;
      for (const end = at + width; at < end; at++) floats[at] = (numbers[at] as number) * scale;
    }
    yield floats;
  }
}

/** What stands behind the name of a tensor of I8 numbers to give the name of their scales. */
export const SCALES = ".scales";

/**
 * Joins I8 tensors with their scales, which files hold as tensors of their own: `NAME.scales` beside `NAME`.
 * @throws FormatError for scales that are not one float32 for each row of I8 numbers; `who` is for the message.
 */
export function withScales(tensors: ReadonlyMap<string, LazyTensor>, who: string): Map<string, LazyTensor> {
  const joined = new Map<string, LazyTensor>();
  for (const [name, tensor] of tensors) {
    const scales = tensors.get(name + SCALES);
    const owner = name.endsWith(SCALES) ? tensors.get(name.slice(0, -SCALES.length)) : undefined;
    if (scales === undefined && owner === undefined) joined.set(name, tensor);
    if (scales === undefined) continue;
    const isRows = scales.dtype === "F32" && scales.shape.length === 1 && scales.shape[0] === tensor.shape[0];
    if (tensor.dtype !== "I8" || tensor.shape.length < 2 || !isRows) {
      throw new FormatError(
        `${who}, ${name}${SCALES}`,
        "one F32 for each row of a matrix of I8",
        `${scales.dtype} [${scales.shape}] for ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    joined.set(name, { ...tensor, scales });
  }
  return joined;
}

/** Bytes of a piece of whole units. */
export function pieceBytes(dtype: DTypeName, unit: number): number {
  const bytes = unit * itemSize(dtype);
  return Math.max(1, Math.floor(PIECE / bytes)) * bytes;
}

/** Pieces of a tensor whose elements lie in a file one after the other, `size` bytes from `begin` on. */
export function* readPieces(
  source: ByteSource,
  { dtype, begin, size }: { readonly dtype: DTypeName; readonly begin: number; readonly size: number },
  unit: number,
): Iterable<TypedArray> {
  for (const block of readBlocks(source, begin, size, pieceBytes(dtype, unit)))
    yield viewAs(dtype, block.buffer, block.length / itemSize(dtype));
}
