import { openFile, writeFileAtomic, writeFileInTurns } from "../platform/node.ts";
import type { ByteSource } from "./byte-source.ts";
import { compareBytes } from "./bytes.ts";
import {
  bytesOf,
  countElements,
  DTYPES,
  type DTypeName,
  type HostTensor,
  holds,
  isDType,
  isSize,
  itemSize,
  type TypedArray,
  viewAs,
} from "./dtype.ts";
import { FormatError } from "./format-error.ts";
import { type LazyTensor, piecesOf, readPieces } from "./lazy-tensor.ts";
import { type Json, parseStrictJson } from "./strict-json.ts";

/** Where a tensor lies; offsets are bytes from the start of the file. */
export interface TensorInfo {
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** An open safetensors file: the header in memory, the tensors on disk. */
export interface SafetensorsFile extends Disposable {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Reads one tensor; an unknown name is a FormatError. */
  read(name: string): HostTensor;
  /** The same piece by piece: see `piecesOf`. */
  pieces(name: string, unit: number): Iterable<TypedArray>;
}

/**
 * Opens a safetensors file (https://github.com/huggingface/safetensors: u64 header length, JSON header, data). The
 * header is checked in full before anything is read: known element types, shapes that match their ranges, ranges that
 * tile the data exactly, no name twice. Throws FormatError.
 */
export function openSafetensors(from: string | ByteSource): SafetensorsFile {
  return openOne(typeof from === "string" ? openFile(from) : from);
}

/** All tensors of a file. */
export function readSafetensors(from: string | ByteSource): Map<string, HostTensor> {
  using file = openSafetensors(from);
  return new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
}

/**
 * Writes a file as the reference writer does: tensors by descending alignment, then by name; header padded with spaces
 * so that the data starts at a multiple of 8. Lazy tensors are read one at a time. The name appears when all is
 * written. A file that `openSafetensors` would refuse is not begun. Throws FormatError.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor | LazyTensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  writeFileAtomic(path, encode(path, tensors, metadata));
}

/**
 * Like `writeSafetensors`, for files that take long to write: other work has its turn between any two pieces, such as
 * the handling of a signal. A process that exits meanwhile leaves no temporary file.
 */
export function writeSafetensorsInTurns(
  path: string,
  tensors: ReadonlyMap<string, LazyTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  return writeFileInTurns(path, encode(path, tensors, metadata));
}

/** The file in pieces; what can be checked is checked before the first of them. */
function encode(
  path: string,
  tensors: ReadonlyMap<string, HostTensor | LazyTensor>,
  metadata: Readonly<Record<string, string>>,
): Iterable<Uint8Array> {
  const order = [...tensors].sort(byAlignmentThenName);
  let at = 0;
  const header = order.map(([name, { dtype, shape }]) => {
    const count = countElements(shape);
    if (count === undefined) throw new FormatError(`${path}, ${name}`, A_SHAPE, showSizes(shape));
    const data_offsets = [at, (at += count * itemSize(dtype))];
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`;
  });
  if (tensors.has(METADATA)) throw new FormatError(path, "names of tensors", `the reserved ${METADATA}`);
  if (Object.keys(metadata).length > 0) header.unshift(`"${METADATA}":${JSON.stringify(metadata)}`);

  const text = utf8.encode(`{${header.join(",")}}`);
  const head = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(text, 8);
  checkLength(path, head.length - 8, head.length + at);
  readHeader(path, head.subarray(8), head.length + at);
  return pieces(path, head, order);
}

function* pieces(
  path: string,
  head: Uint8Array,
  order: readonly (readonly [string, HostTensor | LazyTensor])[],
): Iterable<Uint8Array> {
  yield head;
  for (const [name, tensor] of order) {
    const count = countElements(tensor.shape) as number;
    let [written, kind] = [0, ""];
    const fail = (): never => {
      const expected = `${count} elements of ${tensor.dtype}`;
      throw new FormatError(`${path}, ${name}`, expected, `${written} in a ${kind}`);
    };
    for (const data of piecesOf(tensor)) {
      written += data.length;
      kind = data.constructor.name;
      if (!holds(tensor.dtype, data) || written > count) fail();
      const bytes = bytesOf(data);
      for (let from = 0; from < bytes.length; from += PIECE) yield bytes.subarray(from, from + PIECE);
    }
    if (written !== count) fail();
  }
}

/** Bytes written at a time. */
const PIECE = 2 ** 24;
const METADATA = "__metadata__";
const utf8 = new TextEncoder();
/** As in the reference implementation. */
const MAX_HEADER = 100_000_000;
const A_SHAPE = "a shape: at most 64 whole sizes, their product below 2^53";

function byAlignmentThenName(
  [a, left]: [string, HostTensor | LazyTensor],
  [b, right]: [string, HostTensor | LazyTensor],
) {
  const rank = DTYPES.indexOf(right.dtype) - DTYPES.indexOf(left.dtype);
  return rank !== 0 ? rank : compareBytes(utf8.encode(a), utf8.encode(b));
}

function openOne(source: ByteSource): SafetensorsFile {
  try {
    const who = source.name;
    if (source.size < 8) throw new FormatError(who, "a header length of 8 bytes", `a file of ${source.size}`);
    const claimed = new DataView(source.read(0, 8).buffer).getBigUint64(0, true);
    checkLength(who, claimed, source.size);
    const { tensors, metadata } = readHeader(who, source.read(8, Number(claimed)), source.size);
    const infoOf = (name: string): TensorInfo => {
      const info = tensors.get(name);
      if (info === undefined) throw new FormatError(who, `a tensor ${name}`, "none of that name");
      return info;
    };
    return {
      tensors,
      metadata,
      pieces(name, unit) {
        const { dtype, begin, end } = infoOf(name);
        return readPieces(source, { dtype, begin, size: end - begin }, unit);
      },
      read(name) {
        const info = infoOf(name);
        const bytes = source.read(info.begin, info.end - info.begin);
        return { dtype: info.dtype, shape: info.shape, data: viewAs(info.dtype, bytes.buffer) };
      },
      [Symbol.dispose]: () => source[Symbol.dispose](),
    };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

function checkLength(who: string, claimed: bigint | number, fileSize: number): void {
  const room = Math.min(MAX_HEADER, fileSize - 8);
  if (claimed > room) throw new FormatError(who, `a header of at most ${room} bytes`, `${claimed}`);
}

/** The tensors that a header describes, checked against each other and the size of the file. */
function readHeader(who: string, header: Uint8Array, fileSize: number) {
  if (header[0] !== 0x7b)
    throw new FormatError(who, "a header that begins with {", `${header[0] ?? "nothing"}`);
  const object = parseStrictJson(who, decodeUtf8(who, header));
  if (!(object instanceof Map)) throw new FormatError(who, "a JSON object", "another value");

  const metadata = readMetadata(who, object.get(METADATA));
  object.delete(METADATA);
  const start = 8 + header.length;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of object) tensors.set(name, readEntry(`${who}, ${name}`, entry, start));

  let end = start;
  for (const [name, info] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (info.begin !== end) {
      throw new FormatError(
        `${who}, ${name}`,
        `its data at ${end - start}`,
        `${info.begin - start}: a gap or overlap`,
      );
    }
    end = info.end;
  }
  if (end !== fileSize) throw new FormatError(who, `a file of ${end} bytes`, `${fileSize}`);
  return { tensors, metadata };
}

function readEntry(who: string, entry: Json, start: number): TensorInfo {
  if (!(entry instanceof Map)) throw new FormatError(who, "an object", show(entry));
  const extra = [...entry.keys()].find((key) => !["dtype", "shape", "data_offsets"].includes(key));
  if (extra !== undefined) throw new FormatError(who, "dtype, shape and data_offsets", show(extra));

  const dtype = entry.get("dtype");
  if (!isDType(dtype)) throw new FormatError(who, `a dtype of ${DTYPES.join(" ")}`, show(dtype));
  const shape = entry.get("shape");
  const count = Array.isArray(shape) ? countElements(shape as number[]) : undefined;
  if (count === undefined) throw new FormatError(who, A_SHAPE, show(shape));
  const offsets = entry.get("data_offsets");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw new FormatError(who, "data_offsets [begin, end]", show(offsets));
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== count * itemSize(dtype)) {
    throw new FormatError(who, `${count * itemSize(dtype)} bytes of ${dtype}`, `${end - begin}`);
  }
  return { dtype, shape: shape as number[], begin: start + begin, end: start + end };
}

function readMetadata(who: string, entry: Json | undefined): Map<string, string> {
  if (entry === undefined) return new Map();
  if (!(entry instanceof Map) || [...entry.values()].some((value) => typeof value !== "string")) {
    throw new FormatError(`${who}, ${METADATA}`, "strings by name", show(entry));
  }
  return entry as Map<string, string>;
}

function decodeUtf8(who: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError(who, "a header in UTF-8", "other bytes");
  }
}

/** A value out of a header for a message; long ones are not spelled out. */
function show(value: Json | undefined): string {
  if (value instanceof Map) return "an object";
  if (Array.isArray(value)) return showSizes(value);
  return JSON.stringify(typeof value === "string" ? value.slice(0, 80) : value) ?? "none";
}

const showSizes = (shape: readonly unknown[]): string =>
  shape.length > 8 || shape.some(Array.isArray) ? `an array of ${shape.length}` : JSON.stringify(shape);
