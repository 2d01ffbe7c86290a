import { countElements, FormatError, printable } from "../../core/index.ts";

/**
 * openpi's wire: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) without extensions, and NumPy
 * arrays in it, as openpi's `msgpack_numpy` writes them:
 *
 *   { b"__ndarray__": true, b"data": bin, b"dtype": str, b"shape": [ints] }        an array, row-major, little-endian
 *   { b"__npgeneric__": true, b"data": value, b"dtype": str }                      a scalar
 *
 * Their keys are of the type bin, those of every other map of the type str: with keys of the type str the same entries
 * are a map like any other, to openpi and to us.
 */
export type WireValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | WireArray
  | readonly WireValue[]
  | WireMap;

export type WireMap = ReadonlyMap<string, WireValue>;

/** Element types that are taken, in NumPy's spelling, and what holds them. */
const ELEMENTS = {
  "|b1": Uint8Array,
  "|u1": Uint8Array,
  "|i1": Int8Array,
  "<u2": Uint16Array,
  "<i2": Int16Array,
  "<u4": Uint32Array,
  "<i4": Int32Array,
  "<u8": BigUint64Array,
  "<i8": BigInt64Array,
  "<f4": Float32Array,
  "<f8": Float64Array,
} as const;

export type WireDType = keyof typeof ELEMENTS;

const isWireDType = (name: unknown): name is WireDType =>
  typeof name === "string" && Object.hasOwn(ELEMENTS, name);

/** A NumPy array: contiguous, row-major. */
export class WireArray<T extends WireDType = WireDType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: InstanceType<(typeof ELEMENTS)[T]>;

  constructor(dtype: T, shape: readonly number[], data: InstanceType<(typeof ELEMENTS)[T]>) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }
}

/** What a message may be made of: far more than openpi sends, and far less than would be a burden. */
const MOST_DEPTH = 16;
const MOST_VALUES = 65_536;
const MOST_AXES = 8;
const MOST_TEXT = 65_536;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The one value of a message. Arrays and byte strings are copies in buffers of their own: in the message they lie at
 * any offset. Memory and time grow with the message alone, whatever lengths it claims.
 *
 * @param who stands before the message of an error.
 * @throws FormatError for anything else than one value of the grammar above, within the limits.
 */
export function decode(message: Uint8Array, who: string): WireValue {
  const reader = new Reader(message, who);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #who: string;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array, who: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#who = who;
  }

  value(depth: number): WireValue {
    const start = this.#at;
    if (depth > MOST_DEPTH) this.#refuse(start, `values nested at most ${MOST_DEPTH} deep`, "a deeper one");
    if (++this.#values > MOST_VALUES) this.#refuse(start, `at most ${MOST_VALUES} values`, "more");
    const head = this.#unsigned(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(start, head & 0x0f, depth);
    if (head < 0xa0) return this.#list(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return head === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#copy(this.#unsigned(2 ** (head - 0xc4)));
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(2 ** (head - 0xcc));
      case 0xcf:
        return this.#safe(start, this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return this.#safe(start, this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(2 ** (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#unsigned(2 * (head - 0xdb)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(start, this.#unsigned(2 * (head - 0xdd)), depth);
      default:
        return this.#refuse(
          start,
          "a value of MessagePack that is no extension",
          `type 0x${head.toString(16)}`,
        );
    }
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) this.#refuse(this.#at, "the end after one value", `${left} more bytes`);
  }

  /** Passes over `count` bytes, which must be there. @returns where they begin. */
  #take(count: number): number {
    const start = this.#at;
    const left = this.#bytes.length - start;
    if (count > left) this.#refuse(start, `${count} more bytes`, `${left}`);
    this.#at += count;
    return start;
  }

  #unsigned(bytes: number): number {
    const start = this.#take(bytes);
    if (bytes === 1) return this.#view.getUint8(start);
    return bytes === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  #safe(start: number, value: bigint): number {
    if (!Number.isSafeInteger(Number(value)))
      this.#refuse(start, "a whole number within ±(2^53 - 1)", `${value}`);
    return Number(value);
  }

  #copy(count: number): Uint8Array {
    const start = this.#take(count);
    return new Uint8Array(this.#bytes.subarray(start, start + count));
  }

  #text(count: number): string {
    const start = this.#at;
    if (count > MOST_TEXT) this.#refuse(start, `text of at most ${MOST_TEXT} bytes`, `${count}`);
    const bytes = this.#copy(count);
    try {
      return UTF8.decode(bytes);
    } catch {
      return this.#refuse(start, "text in UTF-8", "other bytes");
    }
  }

  #list(count: number, depth: number): WireValue[] {
    // A length that a message claims allocates nothing: only bytes that are there do.
    const list: WireValue[] = [];
    while (list.length < count) list.push(this.value(depth + 1));
    return list;
  }

  #map(start: number, count: number, depth: number): WireValue {
    const map = new Map<string, WireValue>();
    let binary = 0;
    for (let i = 0; i < count; i++) {
      const at = this.#at;
      const key = this.value(depth + 1);
      if (key instanceof Uint8Array) binary++;
      else if (typeof key !== "string") this.#refuse(at, "a key that is text", describe(key));
      const name = key instanceof Uint8Array ? Buffer.from(key).toString("latin1") : (key as string);
      if (map.has(name)) this.#refuse(at, "each key once", printable(JSON.stringify(name), 60));
      map.set(name, this.value(depth + 1));
    }
    if (binary === 0) return map;
    if (binary < count) this.#refuse(start, "a map whose keys are all of one type", "text and bytes");
    if (map.get("__ndarray__") === true && count === 4) return this.#array(start, map);
    if (map.get("__npgeneric__") === true && count === 3) return this.#scalar(start, map);
    return this.#refuse(
      start,
      "a NumPy array or scalar where keys are bytes",
      `keys ${[...map.keys()].join(", ")}`,
    );
  }

  #array(start: number, map: WireMap): WireArray {
    const [dtype, shape, data] = ["dtype", "shape", "data"].map((key) => map.get(key));
    if (!isWireDType(dtype))
      return this.#refuse(start, `an array of ${Object.keys(ELEMENTS).join(", ")}`, describe(dtype));
    const sizes = Array.isArray(shape) && shape.length <= MOST_AXES ? (shape as number[]) : undefined;
    const elements = sizes && countElements(sizes);
    if (!sizes || elements === undefined)
      return this.#refuse(start, `a shape of at most ${MOST_AXES} whole sizes`, describe(shape));
    const length = elements * ELEMENTS[dtype].BYTES_PER_ELEMENT;
    if (!(data instanceof Uint8Array) || data.length !== length)
      return this.#refuse(start, `${length} bytes for ${dtype} (${sizes.join(", ")})`, describe(data));
    return new WireArray(dtype, sizes, new ELEMENTS[dtype](data.buffer as ArrayBuffer));
  }

  /** The number, truth value or text that a NumPy scalar holds. */
  #scalar(start: number, map: WireMap): WireValue {
    const [dtype, data] = [map.get("dtype"), map.get("data")];
    const isText = typeof dtype === "string" && /^<U\d+$/.test(dtype);
    if (!isText && !isWireDType(dtype))
      this.#refuse(start, "a scalar that is a number or text", describe(dtype));
    const kinds = isText ? ["string"] : ["number", "boolean"];
    if (!kinds.includes(typeof data))
      this.#refuse(start, `${kinds.join(" or ")} for ${dtype}`, describe(data));
    return data as WireValue;
  }

  #refuse(at: number, expected: string, found: string): never {
    throw new FormatError(`${this.#who}, byte ${at}`, expected, found);
  }
}

/** A value in a message, short. */
export function describe(value: WireValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value instanceof WireArray) return `${value.dtype} (${value.shape.join(", ")})`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Map) return `a map of ${value.size}`;
  if (Array.isArray(value)) {
    const isShort = value.length <= 8 && value.every((item) => typeof item === "number");
    return isShort ? `[${value.join(", ")}]` : `a list of ${value.length}`;
  }
  return printable(typeof value === "string" ? JSON.stringify(value) : String(value), 60);
}

/** The message of a value: whole numbers as such and as short as can be, other numbers as float64. */
export function encode(value: WireValue): Uint8Array {
  const pieces: Uint8Array[] = [];
  write(value, pieces);
  return Buffer.concat(pieces);
}

function write(value: WireValue, out: Uint8Array[]): void {
  if (value === null) out.push(Uint8Array.of(0xc0));
  else if (typeof value === "boolean") out.push(Uint8Array.of(value ? 0xc3 : 0xc2));
  else if (typeof value === "number") out.push(numberBytes(value));
  else if (typeof value === "string") {
    const text = Buffer.from(value);
    out.push(
      text.length < 32 ? Uint8Array.of(0xa0 + text.length) : headBytes(0xd9, [1, 2, 4], text.length),
      text,
    );
  } else if (value instanceof Uint8Array) out.push(headBytes(0xc4, [1, 2, 4], value.length), value);
  else if (value instanceof WireArray) {
    const { dtype, shape, data } = value;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    out.push(Uint8Array.of(0x84));
    for (const [key, part] of [
      ["__ndarray__", true],
      ["data", bytes],
      ["dtype", dtype],
      ["shape", shape],
    ] as const) {
      write(Buffer.from(key), out);
      write(part, out);
    }
  } else if (Array.isArray(value)) {
    out.push(value.length < 16 ? Uint8Array.of(0x90 + value.length) : headBytes(0xdc, [2, 4], value.length));
    for (const item of value) write(item, out);
  } else {
    const map = value as WireMap;
    out.push(map.size < 16 ? Uint8Array.of(0x80 + map.size) : headBytes(0xde, [2, 4], map.size));
    for (const [key, item] of map) {
      write(key, out);
      write(item, out);
    }
  }
}

/** The head of a kind of value that has one type per width of its length, `first` for the narrowest. */
function headBytes(first: number, widths: readonly number[], length: number): Uint8Array {
  const width = widths.findIndex((bytes) => length < 2 ** (8 * bytes));
  const head = Buffer.alloc(1 + widths[width], first + width);
  head.writeUIntBE(length, 1, widths[width]);
  return head;
}

function numberBytes(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    const bytes = Buffer.alloc(9, 0xcb);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value >= -32 && value < 128) return Uint8Array.of(value & 0xff);
  if (value >= 2 ** 32) return wide(0xcf, (bytes) => bytes.writeBigUInt64BE(BigInt(value), 1));
  if (value > 0) return headBytes(0xcc, [1, 2, 4], value);
  if (value < -(2 ** 31)) return wide(0xd3, (bytes) => bytes.writeBigInt64BE(BigInt(value), 1));
  const width = [1, 2, 4].findIndex((bytes) => value >= -(2 ** (8 * bytes - 1)));
  const bytes = Buffer.alloc(1 + [1, 2, 4][width], 0xd0 + width);
  bytes.writeIntBE(value, 1, [1, 2, 4][width]);
  return bytes;
}

function wide(head: number, fill: (bytes: Buffer) => void): Uint8Array {
  const bytes = Buffer.alloc(9, head);
  fill(bytes);
  return bytes;
}
