import { openFile } from "../platform/node.ts";
import { allocateBytes, type ByteSource } from "./byte-source.ts";
import { compareBytes, toLatin1 } from "./bytes.ts";
import {
  bytesOf,
  countElements,
  type DTypeName,
  type HostTensor,
  isSize,
  isSizes,
  itemSize,
  type TypedArray,
  viewAs,
} from "./dtype.ts";
import { FormatError } from "./format-error.ts";
import { pieceBytes } from "./lazy-tensor.ts";
import { NumpyArray, numpyGlobals } from "./numpy-pickle.ts";
import { describe, OrderedDict, type PickleGlobal, unpickle } from "./pickle.ts";
import { openZip, type Zip, type ZipEntry } from "./zip.ts";

/** A tensor in a checkpoint, not read yet: a strided view of a storage, counted in elements. */
export class TensorRef {
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
  /** Tensors with equal keys share memory (tied weights, slices). */
  readonly storageKey: string;

  constructor(
    dtype: DTypeName,
    shape: readonly number[],
    stride: readonly number[],
    offset: number,
    key: string,
  ) {
    this.dtype = dtype;
    this.shape = shape;
    this.stride = stride;
    this.offset = offset;
    this.storageKey = key;
  }
}

/** An open PyTorch checkpoint: its structure in memory, its tensors on disk. */
export interface TorchFile extends Disposable {
  /** What was saved: Maps, arrays, strings, numbers, TensorRefs, NumpyArrays; in "checkpoint" mode also Stubs. */
  readonly root: unknown;
  /**
   * Reads one tensor, contiguous and row-major, whatever its strides. Throws FormatError for a damaged storage: its
   * checksum is verified when the tensor is all of it, and before the first view of one that is no larger than
   * 64 MiB. A part of a larger storage is read as it is, so that it costs no more than the part.
   */
  read(ref: TensorRef): HostTensor;
  /**
   * The same piece by piece (see `piecesOf`) where the tensor is all of its storage, whose checksum is then verified
   * after the last piece; else in one.
   */
  pieces(ref: TensorRef, unit: number): Iterable<TypedArray>;
  /** Verifies the checksum of a tensor's storage whatever its size, by reading it once. */
  verify(ref: TensorRef): void;
}

/**
 * Opens a PyTorch zip checkpoint (`torch.save` since 1.6) without executing anything in it and without reading its
 * tensors. Names other than tensors and plain containers are refused in "strict" mode; in "checkpoint" mode they
 * become inert Stubs, as a Lightning checkpoint's hyper-parameters and callbacks need. The checksum of all that is read
 * here is verified; for tensors see `read`. Throws FormatError.
 */
export function openTorch(from: string | ByteSource, mode: "strict" | "checkpoint" = "strict"): TorchFile {
  const source = typeof from === "string" ? openFile(from) : from;
  try {
    return openArchive(source, mode);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/** Reads a file that holds one bare float64 NumPy array, as LIBERO's `.pruned_init` states do. */
export function readNumpy(from: string | ByteSource): { shape: number[]; data: Float64Array } {
  using file = openTorch(from);
  if (!(file.root instanceof NumpyArray)) {
    throw new FormatError(nameOf(from), "one NumPy array", describe(file.root));
  }
  return { shape: [...file.root.shape], data: file.root.toFloat64() };
}

/**
 * Names → tensors of a training checkpoint. "model" takes `state_dict`, or the root where it is itself a state dict.
 * "ema" takes the running averages of Lightning's EMA callback: a bare list, in the order of `state_dict`.
 */
export function stateDict(
  file: TorchFile,
  options: { weights: "model" | "ema" },
  who = "checkpoint",
): Map<string, TensorRef> {
  const { root } = file;
  if (!(root instanceof Map)) throw new FormatError(who, "a dict", describe(root));
  const model: unknown = root.has("state_dict") ? root.get("state_dict") : root;
  if (!(model instanceof Map)) throw new FormatError(`${who}, state_dict`, "a dict", describe(model));

  let values: readonly unknown[] = [...model.values()];
  if (options.weights === "ema") {
    const callbacks: unknown = root.get("callbacks");
    const ema: unknown = callbacks instanceof Map ? callbacks.get("EMA") : undefined;
    const weights: unknown = ema instanceof Map ? ema.get("ema_weights") : undefined;
    if (!Array.isArray(weights) || weights.length !== values.length) {
      const place = `${who}, callbacks.EMA.ema_weights`;
      throw new FormatError(
        place,
        `a list of ${values.length} tensors, one per state_dict entry`,
        describe(weights),
      );
    }
    values = weights;
  }

  const tensors = new Map<string, TensorRef>();
  let i = 0;
  for (const [name, stored] of model) {
    const value = values[i++];
    if (typeof name !== "string") throw new FormatError(`${who}, state_dict`, "names", describe(name));
    if (!(value instanceof TensorRef)) throw new FormatError(`${who}, ${name}`, "a tensor", describe(value));
    if (stored instanceof TensorRef && String(value.shape) !== String(stored.shape)) {
      throw new FormatError(`${who}, EMA of ${name}`, `shape [${stored.shape}]`, `[${value.shape}]`);
    }
    tensors.set(name, value);
  }
  return tensors;
}

/** What every legacy (before 1.6) file begins with: a pickle of PyTorch's magic number. */
const LEGACY = Uint8Array.of(
  0x80,
  0x02,
  0x8a,
  0x0a,
  0x6c,
  0xfc,
  0x9c,
  0x46,
  0xf9,
  0x20,
  0x6a,
  0xa8,
  0x50,
  0x19,
);
const MAX_PICKLE = 64 * 2 ** 20;
/**
 * Largest storage, bytes, of which a part is read only when all of it has been verified: some hundredths of a second.
 */
const MAX_VERIFIED = 64 * 2 ** 20;
/** PyTorch numbers its storages. */
const MAX_KEY = 64;

function openArchive(source: ByteSource, mode: "strict" | "checkpoint"): TorchFile {
  const who = source.name;
  const head = source.read(0, Math.min(LEGACY.length, source.size));
  if (compareBytes(head, LEGACY) === 0) {
    throw new FormatError(
      who,
      "PyTorch's zip format",
      "its legacy format (before 1.6): re-save it as safetensors",
    );
  }
  const zip = openZip(source);
  const prefix = findPrefix(who, zip);
  const readSmall = (name: string, limit: number): Uint8Array | undefined => {
    const entry = zip.entries.get(prefix + name);
    if (entry === undefined) return undefined;
    if (entry.size > limit) throw new FormatError(who, `${name} of at most ${limit} bytes`, `${entry.size}`);
    return zip.read(entry);
  };
  const order = readSmall("byteorder", 64);
  if (order !== undefined && toLatin1(order) !== "little") {
    throw new FormatError(who, "byte order little", JSON.stringify(toLatin1(order)));
  }

  const pickle = readSmall("data.pkl", MAX_PICKLE)!;
  const root = unpickle(pickle, {
    who,
    globals: tensorGlobals(who),
    unknownGlobals: mode === "strict" ? "refuse" : "stub",
    persistentLoad: (id) => loadStorage(who, zip, prefix, id),
  });
  const storageOf = (ref: TensorRef): ZipEntry => {
    const entry = zip.entries.get(`${prefix}data/${ref.storageKey}`);
    if (entry === undefined) throw new FormatError(who, `storage ${ref.storageKey}`, "none of that key");
    return entry;
  };
  const file: TorchFile = {
    root,
    *pieces(ref, unit) {
      const entry = storageOf(ref);
      if (!isWhole(ref, entry.size)) {
        yield file.read(ref).data;
        return;
      }
      for (const block of zip.blocks(entry, pieceBytes(ref.dtype, unit)))
        yield viewAs(ref.dtype, block.buffer, block.length / itemSize(ref.dtype));
    },
    read(ref) {
      const entry = storageOf(ref);
      if (isWhole(ref, entry.size)) {
        return { dtype: ref.dtype, shape: ref.shape, data: viewAs(ref.dtype, zip.read(entry).buffer) };
      }
      if (entry.size <= MAX_VERIFIED) zip.verify(entry);
      return readView(source, zip.locate(entry), ref);
    },
    verify: (ref) => zip.verify(storageOf(ref)),
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
  return file;
}

/** Whether a tensor is all of its storage, in its order. */
function isWhole({ dtype, shape, stride, offset }: TensorRef, size: number): boolean {
  const dense = rowMajor(shape);
  const inOrder = shape.every((length, axis) => length === 1 || stride[axis] === dense[axis]);
  return offset === 0 && inOrder && countElements(shape)! * itemSize(dtype) === size;
}

function findPrefix(who: string, zip: Zip): string {
  const pickles = [...zip.entries.keys()].filter((name) => name.endsWith("/data.pkl"));
  if (pickles.length !== 1) {
    throw new FormatError(who, "a PyTorch archive: one entry */data.pkl", `${pickles.length} of them`);
  }
  return pickles[0].slice(0, -"data.pkl".length);
}

/** A storage a pickle refers to: `count` elements of `dtype`, or `bytes` of no type until a tensor gives one. */
class Storage {
  readonly key: string;
  readonly bytes: number;
  readonly dtype: DTypeName | undefined;

  constructor(key: string, bytes: number, dtype: DTypeName | undefined) {
    this.key = key;
    this.bytes = bytes;
    this.dtype = dtype;
  }
}

const STORAGES: Readonly<Record<string, DTypeName | undefined>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.storage.UntypedStorage": undefined,
};

const DTYPE_NAMES: Readonly<Record<string, DTypeName>> = {
  "torch.float64": "F64",
  "torch.float32": "F32",
  "torch.float16": "F16",
  "torch.bfloat16": "BF16",
  "torch.int64": "I64",
  "torch.int32": "I32",
  "torch.int16": "I16",
  "torch.int8": "I8",
  "torch.uint64": "U64",
  "torch.uint32": "U32",
  "torch.uint16": "U16",
  "torch.uint8": "U8",
  "torch.bool": "BOOL",
  "torch.float8_e5m2": "F8_E5M2",
  "torch.float8_e4m3fn": "F8_E4M3",
};

/** Persistent id ('storage', class, key, location, count): checked against the archive before anything relies on it. */
function loadStorage(who: string, zip: Zip, prefix: string, id: unknown): Storage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== "storage") {
    throw new FormatError(who, "a reference to a storage", describe(id));
  }
  const [, type, key, , count] = id as unknown[];
  const path = (type as PickleGlobal | null)?.path ?? describe(type);
  if (!Object.hasOwn(STORAGES, path)) throw new FormatError(who, "a storage of plain numbers", path);
  if (typeof key !== "string" || key.length > MAX_KEY)
    throw new FormatError(who, "a storage key", describe(key));
  if (!isSize(count)) throw new FormatError(who, `the size of storage ${key}`, describe(count));

  const dtype = STORAGES[path];
  const bytes = count * (dtype === undefined ? 1 : itemSize(dtype));
  const entry = zip.entries.get(`${prefix}data/${key}`);
  if (entry === undefined) throw new FormatError(who, `an entry data/${key}`, "none");
  if (bytes > entry.size) throw new FormatError(who, `${bytes} bytes in data/${key}`, `${entry.size}`);
  return new Storage(key, bytes, dtype);
}

/** What a pickle of tensors may name. */
function tensorGlobals(who: string): ReadonlyMap<string, PickleGlobal> {
  const dtypeOf = (value: unknown): DTypeName => {
    const path = (value as PickleGlobal | null)?.path;
    if (path === undefined || !Object.hasOwn(DTYPE_NAMES, path)) {
      throw new FormatError(who, "a torch element type", describe(value));
    }
    return DTYPE_NAMES[path];
  };
  const storageOf = (value: unknown): Storage => {
    if (!(value instanceof Storage)) throw new FormatError(who, "a tensor's storage", describe(value));
    return value;
  };

  // (storage, offset, size, stride, requires_grad, hooks)
  const rebuild2 = ([first, ...view]: readonly unknown[]): TensorRef => {
    const storage = storageOf(first);
    if (storage.dtype === undefined)
      throw new FormatError(who, "a storage with an element type", "an untyped one");
    return makeTensor(who, storage, storage.dtype, view);
  };
  // (storage, offset, size, stride, requires_grad, hooks, dtype)
  const rebuild3 = ([first, ...view]: readonly unknown[]): TensorRef =>
    makeTensor(who, storageOf(first), dtypeOf(view[5]), view);

  const parameter = ([tensor]: readonly unknown[]): TensorRef => {
    if (!(tensor instanceof TensorRef)) throw new FormatError(who, "a parameter's tensor", describe(tensor));
    return tensor;
  };
  const size = ([sizes]: readonly unknown[]): readonly unknown[] => {
    if (!isTuple(sizes)) throw new FormatError(who, "a torch.Size", describe(sizes));
    return sizes;
  };
  const device = ([type, index, ...more]: readonly unknown[]): string => {
    if (typeof type !== "string" || !(index === undefined || isSize(index)) || more.length > 0) {
      throw new FormatError(who, "a device's type and number", `${describe(type)} and ${describe(index)}`);
    }
    return index === undefined ? type : `${type}:${index}`;
  };
  const orderedDict = (args: readonly unknown[]): OrderedDict => {
    if (args.length > 0) throw new FormatError(who, "an empty dict to fill", `${args.length} arguments`);
    return new OrderedDict();
  };

  const constants = [...Object.keys(STORAGES), ...Object.keys(DTYPE_NAMES), "torch.storage.TypedStorage"];
  const table: PickleGlobal[] = [
    ...constants.map((path) => ({ path })),
    { path: "torch._utils._rebuild_tensor_v2", call: rebuild2 },
    { path: "torch._utils._rebuild_tensor_v3", call: rebuild3 },
    { path: "torch._utils._rebuild_parameter", call: parameter },
    { path: "torch.Size", call: size },
    { path: "torch.device", call: device },
    { path: "collections.OrderedDict", call: orderedDict },
    { path: "collections.defaultdict", call: () => new OrderedDict() },
    ...numpyGlobals(who),
  ];
  return new Map(table.map((entry) => [entry.path, entry]));
}

/** An expanded view (stride 0) may claim more elements than its storage has, but not without end. */
const MAX_EXPANDED = 2 ** 24;

function makeTensor(who: string, storage: Storage, dtype: DTypeName, view: readonly unknown[]): TensorRef {
  const [offset, shape, stride] = view;
  const fail = (expected: string, found: string): never => {
    throw new FormatError(`${who}, tensor in storage ${storage.key}`, expected, found);
  };
  if (!isSize(offset)) return fail("an offset", describe(offset));
  if (!isTuple(shape) || !isTuple(stride) || shape.length !== stride.length) {
    return fail("a shape and its strides", `${describe(shape)} and ${describe(stride)}`);
  }
  const count = countElements(shape);
  const room = Math.floor(storage.bytes / itemSize(dtype));
  if (count === undefined || count > Math.max(room, MAX_EXPANDED)) {
    return fail(`a shape that fits ${room} stored elements`, `[${shape}]`);
  }
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * stride[axis], offset);
  if (count > 0 && last >= room) return fail(`elements inside the ${room} stored`, `one at ${last}`);
  return new TensorRef(dtype, shape, stride, offset, storage.key); // tuples are frozen: nobody changes them
}

const isTuple = (value: unknown): value is readonly number[] => isSizes(value) && Object.isFrozen(value);

/** Bytes read at a time where the elements of a view do not follow one another. */
const BLOCK = 2 ** 20;
/** Reading over so many bytes that nobody asked for takes about as long as a second call. */
const GAP = 2 ** 14;

/** Reads a view of the storage that starts at byte `base`; holds one block besides the result. */
function readView(source: ByteSource, base: number, ref: TensorRef): HostTensor {
  const { dtype, shape } = ref;
  const width = itemSize(dtype);
  const data = viewAs(dtype, allocateBytes(source.name, countElements(shape)! * width).buffer);
  if (data.length === 0) return { dtype, shape, data };

  const levels = nest(shape, ref.stride, width);
  const span = levels[0].dense ? 0 : Math.min(BLOCK, levels[0].span * width);
  const block = viewAs(dtype, new ArrayBuffer(span));
  fill(0, ref.offset, 0);
  return { dtype, shape, data };

  /** Copies the axes from `depth` on, which start at element `start` of the storage, to element `target` of `data`. */
  function fill(depth: number, start: number, target: number): void {
    const { dense, count, size, from, to, atOnce } = levels[depth];
    if (dense) {
      readElements(data, target, count, start);
    } else if (atOnce === 0) {
      for (let i = 0; i < size; i++) fill(depth + 1, start + i * from, target + i * to);
    } else {
      for (let i = 0; i < size; i += atOnce) {
        const steps = Math.min(atOnce, size - i);
        readElements(block, 0, levels[depth + 1].span + (steps - 1) * from, start + i * from);
        gather(depth, steps, 0, target + i * to);
      }
    }
  }

  function readElements(into: TypedArray, at: number, count: number, start: number): void {
    source.readInto(bytesOf(into).subarray(at * width, (at + count) * width), base + start * width);
  }

  /** `steps` along the axis of `depth`, and all along those after it. */
  function gather(depth: number, steps: number, read: number, write: number): void {
    const { from, to } = levels[depth];
    const { size } = levels[depth + 1];
    if (depth === levels.length - 2) {
      for (let i = 0; i < steps; i++) data[write + i * to] = block[read + i * from];
    } else {
      for (let i = 0; i < steps; i++) gather(depth + 1, size, read + i * from, write + i * to);
    }
  }
}

/** One axis of a view and all those after it in the order of `nest`; what is counted is elements. */
interface Level {
  /** Length of the axis, and its strides in the storage and in the result. */
  readonly size: number;
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** From the first to the last in the storage, both included. */
  readonly span: number;
  /** They lie in the storage as they lie in the result: without gaps, in the same order. */
  readonly dense: boolean;
  /** They lie so close together in the storage that all between the first and the last may be read with them. */
  readonly close: boolean;
  /** Steps along the axis that one block takes; 0 where each step is read by itself. */
  readonly atOnce: number;
}

/**
 * The axes of a view by falling stride in the storage, with a level for the single element at the end. Axes of
 * length 1 lead nowhere, whatever their stride, and are left out.
 */
function nest(shape: readonly number[], stride: readonly number[], width: number): readonly Level[] {
  const to = rowMajor(shape);
  const axes = shape
    .map((size, axis) => ({ size, from: stride[axis], to: to[axis] }))
    .filter(({ size }) => size > 1)
    .sort((a, b) => a.from - b.from || a.to - b.to);
  const element = { size: 1, from: 1, to: 1, count: 1, span: 1, dense: true, close: true, atOnce: 0 };
  const levels: Level[] = [element];
  for (const axis of axes) {
    const inner = levels[0];
    const { size, from } = axis;
    const close = inner.close && (from - inner.span) * width <= GAP;
    const room = BLOCK / width - inner.span;
    levels.unshift({
      ...axis,
      count: size * inner.count,
      span: inner.span + (size - 1) * from,
      dense: inner.dense && from === inner.count && axis.to === inner.count,
      close,
      atOnce: !close || room < 0 ? 0 : from === 0 ? size : Math.min(size, 1 + Math.floor(room / from)),
    });
  }
  return levels;
}

function rowMajor(shape: readonly number[]): number[] {
  const stride = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) stride[axis] = stride[axis + 1] * shape[axis + 1];
  return stride;
}

const nameOf = (from: string | ByteSource): string => (typeof from === "string" ? from : from.name);
