/**
 * HDF5 files through h5wasm, the HDF Group's library compiled to WebAssembly: read by ranges, so that a file of
 * gigabytes costs only what is asked of it. What the library would get wrong without a word is refused here.
 */
import { openSync } from "node:fs";
import { devNull } from "node:os";
import type h5wasm from "h5wasm/node";
import type { Dataset, File, Group } from "h5wasm/node";
import { FormatError, openFile } from "../../core/index.ts";

/**
 * The filters that the library undoes: deflate, shuffle, Fletcher's checksum. Data under others would be left as
 * garbage.
 */
const KNOWN_FILTERS: ReadonlySet<number> = new Set([1, 2, 3]);

/** Element types that are read, with the array that holds them. */
const ARRAYS = { "<B": Uint8Array, "<f": Float32Array, "<d": Float64Array } as const;

type ElementType = keyof typeof ARRAYS;
export type Hdf5Array = Uint8Array | Float32Array | Float64Array;

const MOST_ATTRIBUTE_BYTES = 2 ** 26;

/** An open file. Dispose it (`using`): the library keeps it open until then. */
export class Hdf5File implements Disposable {
  readonly path: string;
  readonly #library: Library;
  #file: File | null;

  private constructor(path: string, library: Library, file: File) {
    this.path = path;
    this.#library = library;
    this.#file = file;
  }

  /** @throws FormatError for anything but an HDF5 file. */
  static async open(path: string): Promise<Hdf5File> {
    const library = await loadLibrary();
    openFile(path)[Symbol.dispose](); // the library would wait for a pipe
    const file = attempt(() => new library.File(path, "r"));
    if (!file || file.file_id < 0n)
      throw new FormatError(path, "an HDF5 file", "another format, or a damaged file");
    return new Hdf5File(path, library, file);
  }

  /** Names of what a group holds, `demo_2` before `demo_10`. */
  keys(group: string): string[] {
    const found = this.#group(group);
    const names = attempt(() => found.keys());
    if (!names) throw new FormatError(`${this.path}, ${group}`, "names that can be read", "damaged ones");
    return names.sort(new Intl.Collator("en", { numeric: true }).compare);
  }

  /** A text attribute of a group or dataset. */
  text(at: string, name: string): string {
    const value = this.#attribute(at, name);
    if (typeof value === "string") return value;
    throw new FormatError(`${this.path}, ${at}`, `a text attribute ${name}`, kindOf(value));
  }

  /** A whole number among the attributes of a group or dataset, from 0 to 2^53. Some writers store it as text. */
  count(at: string, name: string): number {
    const value = this.#attribute(at, name);
    const number = typeof value === "string" || typeof value === "bigint" ? Number(value) : value;
    if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
    throw new FormatError(`${this.path}, ${at}`, `a whole number in attribute ${name}`, kindOf(value));
  }

  /** A dataset of bytes or floats. Throws for other types, and for filters that cannot be undone. */
  dataset(path: string): Hdf5Dataset {
    const who = `${this.path}, ${path}`;
    const found = this.#find(path);
    if (!(found instanceof this.#library.Dataset))
      throw new FormatError(who, "a dataset", found ? "no dataset" : "none");
    const facts = attempt(() => {
      const { filters, metadata, dtype, shape } = found;
      return { filters, isView: Boolean(metadata.virtual_sources), dtype, shape };
    });
    if (!facts) throw new FormatError(who, "a dataset that can be read", "a damaged one");
    const { filters, isView, dtype, shape } = facts;
    const unknown = filters.find(({ id }) => !KNOWN_FILTERS.has(id));
    if (unknown)
      throw new FormatError(who, "deflate, shuffle or no filter", `${unknown.name} (number ${unknown.id})`);
    if (isView) throw new FormatError(who, "data of its own", "a view of other files");
    if (typeof dtype !== "string" || !(dtype in ARRAYS))
      throw new FormatError(who, "elements u1, f4 or f8 (<B, <f, <d)", JSON.stringify(dtype));
    if (shape === null || shape.length === 0) throw new FormatError(who, "a list of rows", "a single value");
    return new Hdf5Dataset(who, found, dtype as ElementType, shape);
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = null;
  }

  get #open(): File {
    if (!this.#file) throw new Error(`${this.path}: read after it was closed`);
    return this.#file;
  }

  #find(path: string): ReturnType<File["get"]> {
    const file = this.#open;
    return attempt(() => file.get(path));
  }

  #group(path: string): Group {
    const found = this.#find(path);
    if (found instanceof this.#library.Group) return found;
    throw new FormatError(`${this.path}, ${path}`, "a group", found ? "no group" : "none");
  }

  #attribute(at: string, name: string): unknown {
    const found = this.#find(at);
    const attribute = attempt(() => (found && "attrs" in found ? found.attrs[name] : null));
    if (!attribute) throw new FormatError(`${this.path}, ${at}`, `an attribute ${name}`, "none");
    const { vlen, total_size, size } = attribute.metadata;
    const bytes = vlen ? 0 : total_size * size;
    if (bytes > MOST_ATTRIBUTE_BYTES)
      throw new FormatError(`${this.path}, ${at}`, `an attribute ${name} of ordinary size`, `${bytes} bytes`);
    return attempt(() => attribute.value);
  }
}

/** Rows of numbers in a file, (rows, …row). */
export class Hdf5Dataset {
  readonly #who: string;
  readonly #dataset: Dataset;
  readonly type: ElementType;
  readonly shape: readonly number[];

  constructor(who: string, dataset: Dataset, type: ElementType, shape: readonly number[]) {
    this.#who = who;
    this.#dataset = dataset;
    this.type = type;
    this.shape = shape;
  }

  /** Throws unless the shape is the one given; null stands for any length. */
  expect(...shape: readonly (number | null)[]): this {
    const fits =
      shape.length === this.shape.length && shape.every((n, axis) => n === null || n === this.shape[axis]);
    if (!fits)
      throw new FormatError(
        this.#who,
        `shape (${shape.map((n) => n ?? "any").join(", ")})`,
        `(${this.shape.join(", ")})`,
      );
    return this;
  }

  /** Rows `start` to `end`, the last one not included, row-major. */
  rows(start: number, end: number): Hdf5Array {
    const [length, ...row] = this.shape;
    if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= length))
      throw new RangeError(`${this.#who}: expected rows between 0 and ${length}, got ${start} to ${end}`);
    const count = row.reduce((product, n) => product * n, end - start);
    const Data = ARRAYS[this.type];
    if (count === 0) return new Data(0);
    const found = attempt(() => this.#dataset.slice([[start, end], ...row.map((): [] => [])]));
    if (found instanceof Data && found.length === count) return found;
    throw new FormatError(
      this.#who,
      `${count} numbers in rows ${start} to ${end}`,
      "data that cannot be read",
    );
  }

  /** The same as float64. */
  floats(start: number, end: number): Float64Array {
    const rows = this.rows(start, end);
    return rows instanceof Float64Array ? rows : Float64Array.from(rows);
  }
}

const kindOf = (value: unknown): string => (value === null ? "nothing" : `a ${typeof value}`);

/** h5wasm with its classes. */
export type Library = typeof h5wasm;

let loaded: Promise<Library> | undefined;

/**
 * Loads the library when a file is first opened: under tsx that takes two seconds, which no other command should wait.
 * Its traces of C functions go nowhere: whoever calls it tells what was wrong, in one line.
 */
export function loadLibrary(): Promise<Library> {
  loaded ??= import("h5wasm/node").then(async ({ default: library }) => {
    const { FS } = await library.ready;
    const { streams } = FS as unknown as { readonly streams: { nfd: number }[] };
    streams[2].nfd = openSync(devNull, "w");
    return library;
  });
  return loaded;
}

/** What the library gives; null where it throws. */
function attempt<T>(body: () => T): T | null {
  try {
    return body();
  } catch {
    return null;
  }
}
