import { crc32 } from "node:zlib";
import type { DTypeName } from "../../../core/formats/dtype.ts";

/**
 * Writers of ZIP archives, pickles and PyTorch checkpoints for tests: enough to make valid files of every kind we
 * read, and to break them on purpose. Written from the formats' descriptions, apart from the readers.
 */

const bytes = (...parts: (number | Uint8Array)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Uint8Array.of(part) : part)));

const u16 = (value: number): Buffer => {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
};

export const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

const u64 = (value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
};

export interface ZipOptions {
  readonly method?: number;
  readonly flags?: number;
  /** Writes zip64 end records, and puts every size and offset in zip64 blocks. */
  readonly zip64?: boolean;
  readonly comment?: string;
  /** Aligns payloads with an extra field that only local headers have, as PyTorch does. */
  readonly align?: number;
  /** False writes zeros in place of every checksum, as PyTorch does when told to leave them out. */
  readonly checksums?: boolean;
}

export function zip(entries: Readonly<Record<string, Uint8Array>>, options: ZipOptions = {}): Buffer {
  const { method = 0, flags = 0x0808, zip64 = false, comment = "", align = 64, checksums = true } = options;
  const all = 0xffffffff;
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const emit = (part: Uint8Array): void => {
    parts.push(part);
    at += part.length;
  };

  for (const [name, data] of Object.entries(entries)) {
    const label = Buffer.from(name);
    const offset = at;
    const padding = (align - ((offset + 30 + label.length + 4) % align)) % align;
    // Sizes and checksum stay zero here, as in PyTorch's files: readers must take them from the directory.
    const local = [u32(0x04034b50), u16(0), u16(flags), u16(method), Buffer.alloc(16), u16(label.length)];
    emit(
      bytes(...local, u16(4 + padding), label, Buffer.from("FB"), u16(padding), Buffer.alloc(padding, "Z")),
    );
    emit(data);
    const block = zip64 ? bytes(u16(1), u16(24), u64(data.length), u64(data.length), u64(offset)) : bytes();
    const size = u32(zip64 ? all : data.length);
    const sum = u32(checksums ? crc32(data) : 0);
    directory.push(
      bytes(u32(0x02014b50), u16(0), u16(0), u16(flags), u16(method), u32(0), sum, size, size),
      bytes(u16(label.length), u16(block.length), u16(0), u16(0), u16(0), u32(0), u32(zip64 ? all : offset)),
      bytes(label, block),
    );
  }
  const start = at;
  const count = Object.keys(entries).length;
  for (const part of directory) emit(part);
  const length = at - start;
  if (zip64) {
    const end64 = at;
    emit(
      bytes(
        u32(0x06064b50),
        u64(44),
        u16(0),
        u16(0),
        u32(0),
        u32(0),
        u64(count),
        u64(count),
        u64(length),
        u64(start),
      ),
    );
    emit(bytes(u32(0x07064b50), u32(0), u64(end64), u32(1)));
  }
  const [c, l, s] = zip64 ? [u16(0xffff), u32(all), u32(all)] : [u16(count), u32(length), u32(start)];
  emit(bytes(u32(0x06054b50), u16(0), u16(0), c, c, l, s, u16(comment.length), Buffer.from(comment)));
  return Buffer.concat(parts);
}

/** Pieces of a pickle: each function gives the opcodes that leave one value on the stack. */
export const P = {
  none: bytes(0x4e),
  bool: (value: boolean) => bytes(value ? 0x88 : 0x89),
  int: (value: number) => {
    const wide = value !== (value | 0);
    const out = Buffer.alloc(wide ? 8 : 4);
    if (wide) out.writeBigInt64LE(BigInt(value));
    else out.writeInt32LE(value);
    return wide ? bytes(0x8a, 8, out) : bytes(0x4a, out);
  },
  float: (value: number) => {
    const out = Buffer.alloc(8);
    out.writeDoubleBE(value);
    return bytes(0x47, out);
  },
  text: (value: string) => bytes(0x58, u32(Buffer.byteLength(value)), Buffer.from(value)),
  blob: (value: Uint8Array) => bytes(0x42, u32(value.length), value),
  tuple: (...items: Uint8Array[]) => bytes(0x28, Buffer.concat(items), 0x74),
  list: (...items: Uint8Array[]) => bytes(0x5d, 0x28, ...items, 0x65),
  set: (...items: Uint8Array[]) => bytes(0x8f, 0x28, ...items, 0x90),
  dict: (...pairs: [Uint8Array, Uint8Array][]) => bytes(0x7d, 0x28, ...pairs.flat(), 0x75),
  global: (module: string, name: string) => bytes(0x63, Buffer.from(`${module}\n${name}\n`)),
  reduce: (callee: Uint8Array, args: Uint8Array) => bytes(callee, args, 0x52),
  build: (target: Uint8Array, state: Uint8Array) => bytes(target, state, 0x62),
  persistent: (id: Uint8Array) => bytes(id, 0x51),
  put: (slot: number, value: Uint8Array) => bytes(value, 0x72, u32(slot)),
  get: (slot: number) => bytes(0x6a, u32(slot)),
  /** Fills an object with pairs, or with items, after it was made. */
  fill: (target: Uint8Array, ...pairs: [Uint8Array, Uint8Array][]) =>
    bytes(target, 0x28, ...pairs.flat(), 0x75),
  extend: (target: Uint8Array, ...items: Uint8Array[]) => bytes(target, 0x28, ...items, 0x65),
  file: (value: Uint8Array) => bytes(0x80, 2, value, 0x2e),
};

export const STORAGE_CLASSES: Partial<Record<DTypeName, string>> = {
  F64: "DoubleStorage",
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  I64: "LongStorage",
  I32: "IntStorage",
  I16: "ShortStorage",
  I8: "CharStorage",
  U8: "ByteStorage",
  BOOL: "BoolStorage",
};

export interface View {
  readonly dtype: DTypeName;
  readonly key: string;
  /** Elements of the storage. */
  readonly count: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** The opcodes of one tensor: `_rebuild_tensor_v2` over a storage named by a persistent id. */
export function tensor(view: View): Buffer {
  const { dtype, key, count, offset, shape, stride } = view;
  const type = P.global("torch", STORAGE_CLASSES[dtype]!);
  const storage = P.persistent(P.tuple(P.text("storage"), type, P.text(key), P.text("cpu"), P.int(count)));
  const hooks = P.reduce(P.global("collections", "OrderedDict"), P.tuple());
  const sizes = [P.tuple(...shape.map(P.int)), P.tuple(...stride.map(P.int))];
  const args = P.tuple(storage, P.int(offset), ...sizes, P.bool(false), hooks);
  return P.reduce(P.global("torch._utils", "_rebuild_tensor_v2"), args);
}

/** A whole checkpoint file around a pickle. */
export function torchFile(
  pickle: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  options: ZipOptions & { byteorder?: string; prefix?: string } = {},
): Buffer {
  const { prefix = "archive", byteorder = "little" } = options;
  const entries: Record<string, Uint8Array> = { [`${prefix}/data.pkl`]: pickle };
  if (byteorder !== "") entries[`${prefix}/byteorder`] = Buffer.from(byteorder);
  for (const [key, data] of Object.entries(storages)) entries[`${prefix}/data/${key}`] = data;
  entries[`${prefix}/version`] = Buffer.from("3\n");
  return zip(entries, options);
}

/** A file holding one float64 NumPy array, as protocol 2 spells it: the bytes as latin1 text. */
export function numpyFile(
  shape: readonly number[],
  data: Float64Array,
  { fortran = false, ...options }: ZipOptions & { fortran?: boolean } = {},
): Buffer {
  const core = "numpy.core.multiarray";
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
  const empty = P.reduce(P.global("_codecs", "encode"), P.tuple(P.text(""), P.text("latin1")));
  const made = P.reduce(
    P.global(core, "_reconstruct"),
    P.tuple(P.global("numpy", "ndarray"), P.tuple(P.int(0)), empty),
  );
  const type = P.build(
    P.reduce(P.global("numpy", "dtype"), P.tuple(P.text("f8"), P.bool(false), P.bool(true))),
    P.tuple(P.int(3), P.text("<"), P.none, P.none, P.none, P.int(-1), P.int(-1), P.int(0)),
  );
  const payload =
    raw === ""
      ? P.reduce(P.global("__builtin__", "bytes"), P.tuple())
      : P.reduce(P.global("_codecs", "encode"), P.tuple(P.text(raw), P.text("latin1")));
  const state = P.tuple(P.int(1), P.tuple(...shape.map(P.int)), type, P.bool(fortran), payload);
  return torchFile(P.file(P.build(made, state)), {}, options);
}
