import { countElements, isSizes } from "./dtype.ts";
import { FormatError } from "./format-error.ts";
import { type Buildable, describe, type PickleGlobal } from "./pickle.ts";

/** A NumPy array out of a pickle: its bytes, still in their own order and element type. */
export class NumpyArray implements Buildable {
  readonly #who: string;
  shape: readonly number[] = [];
  dtype: NumpyDType | undefined;
  /** Column-major: the first index runs fastest. */
  fortran = false;
  bytes: Uint8Array = new Uint8Array(0);

  constructor(who: string) {
    this.#who = who;
  }

  /** State (version, shape, dtype, is_fortran, bytes), as numpy's `ndarray.__reduce__` writes it. */
  build(state: unknown): void {
    const [, shape, dtype, fortran, bytes] = asTuple(this.#who, "an array state of 5 values", state, 5);
    if (!(dtype instanceof NumpyDType)) throw new FormatError(this.#who, "a numpy.dtype", describe(dtype));
    if (typeof fortran !== "boolean") throw new FormatError(this.#who, "an order flag", describe(fortran));
    if (!(bytes instanceof Uint8Array)) throw new FormatError(this.#who, "array bytes", describe(bytes));
    const count = isSizes(shape) ? countElements(shape) : undefined;
    if (!isSizes(shape) || count === undefined) {
      throw new FormatError(this.#who, "a shape of at most 64 whole sizes", describe(shape));
    }
    const length = count * dtype.itemSize;
    if (length !== bytes.length) {
      throw new FormatError(this.#who, `${length} bytes for shape (${shape.join(", ")})`, `${bytes.length}`);
    }
    this.shape = [...shape];
    this.dtype = dtype;
    this.fortran = fortran;
    this.bytes = bytes;
  }

  /** The elements of a float64 array in row-major order. */
  toFloat64(): Float64Array {
    if (this.dtype?.code !== "f8") {
      throw new FormatError(this.#who, "an array of f8", this.dtype?.code ?? "one without elements");
    }
    const data = new Float64Array(new Uint8Array(this.bytes).buffer);
    return this.fortran ? toRowMajor(data, this.shape) : data;
  }
}

/** A NumPy element type; `code` is kind and byte count, such as "f8". Only little-endian plain types exist here. */
export class NumpyDType implements Buildable {
  readonly #who: string;
  readonly code: string;
  readonly itemSize: number;

  constructor(who: string, code: string) {
    this.#who = who;
    this.code = code;
    this.itemSize = Number(/^[biuf]([1248])$/.exec(code)?.[1]);
    if (Number.isNaN(this.itemSize)) {
      throw new FormatError(who, "a numeric element type (b, i, u or f and its bytes)", JSON.stringify(code));
    }
  }

  /** State (3, byte order, None, None, None, -1, -1, 0): the byte order is here, not in the code. */
  build(state: unknown): void {
    const [, order, ...rest] = asTuple(this.#who, "an element type's state", state, 8);
    if (order !== "<" && order !== "|") {
      throw new FormatError(this.#who, "little-endian elements (<)", describe(order));
    }
    if (rest.slice(0, 3).some((part) => part !== null)) {
      throw new FormatError(this.#who, "a plain element type", "a structured one");
    }
  }
}

/** The names NumPy arrays need, under NumPy 1's module path and NumPy 2's. */
export function numpyGlobals(who: string): PickleGlobal[] {
  const reconstruct = (): NumpyArray => new NumpyArray(who);

  const dtype = (args: readonly unknown[]): NumpyDType => {
    if (typeof args[0] !== "string") throw new FormatError(who, "an element type's code", describe(args[0]));
    return new NumpyDType(who, args[0]);
  };

  const scalar = (args: readonly unknown[]): number | bigint | boolean => {
    const [type, bytes] = args;
    if (!(type instanceof NumpyDType) || !(bytes instanceof Uint8Array) || bytes.length !== type.itemSize) {
      throw new FormatError(who, "a numpy.dtype and its bytes", `${describe(type)} and ${describe(bytes)}`);
    }
    const read = SCALARS[type.code];
    if (read === undefined) throw new FormatError(who, "a scalar of a common type", type.code);
    return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  };

  // Protocol 2 has no bytes: NumPy writes text whose code points are the bytes.
  const encode = (args: readonly unknown[]): Uint8Array => {
    const [text, encoding] = args;
    if (typeof text !== "string" || encoding !== "latin1") {
      throw new FormatError(who, "text to encode as latin1", `${describe(text)} and ${describe(encoding)}`);
    }
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff) throw new FormatError(who, "latin1 text", `the character U+${code.toString(16)}`);
      bytes[i] = code;
    }
    return bytes;
  };

  const emptyBytes = (args: readonly unknown[]): Uint8Array => {
    if (args.length > 0) throw new FormatError(who, "bytes() without arguments", `${args.length}`);
    return new Uint8Array(0);
  };

  const table: PickleGlobal[] = [
    { path: "numpy.ndarray" },
    { path: "numpy.dtype", call: dtype },
    { path: "_codecs.encode", call: encode },
    { path: "__builtin__.bytes", call: emptyBytes }, // protocol 2's spelling of b"", as of an array without elements
  ];
  for (const core of ["numpy.core", "numpy._core"]) {
    table.push({ path: `${core}.multiarray._reconstruct`, call: reconstruct });
    table.push({ path: `${core}.multiarray.scalar`, call: scalar });
  }
  return table;
}

const SCALARS: Readonly<Record<string, (view: DataView) => number | bigint | boolean>> = {
  f8: (view) => view.getFloat64(0, true),
  f4: (view) => view.getFloat32(0, true),
  i8: (view) => view.getBigInt64(0, true),
  i4: (view) => view.getInt32(0, true),
  i2: (view) => view.getInt16(0, true),
  i1: (view) => view.getInt8(0),
  u8: (view) => view.getBigUint64(0, true),
  u4: (view) => view.getUint32(0, true),
  u2: (view) => view.getUint16(0, true),
  u1: (view) => view.getUint8(0),
  b1: (view) => view.getUint8(0) !== 0,
};

function toRowMajor(columnMajor: Float64Array, shape: readonly number[]): Float64Array {
  const out = new Float64Array(columnMajor.length);
  const index = shape.map(() => 0);
  for (let to = 0; to < out.length; to++) {
    let from = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) from = from * shape[axis] + index[axis];
    out[to] = columnMajor[from];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return out;
}

function asTuple(who: string, what: string, value: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length !== length) {
    throw new FormatError(who, what, describe(value));
  }
  return value;
}
