import { FormatError } from "./format-error.ts";

/**
 * Bytes that are read by range, so that a file of many gigabytes costs only what is asked of it.
 * A range outside [0, size] is a FormatError: offsets come out of files, and files lie.
 */
export interface ByteSource extends Disposable {
  /** What error messages call it; the path of a file. */
  readonly name: string;
  readonly size: number;
  /** A fresh copy of the range, aligned for any typed array. A range that no memory can hold is a FormatError too. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  readInto(target: Uint8Array, offset: number): void;
}

/**
 * Bytes that are in memory already, such as a file that a page has fetched; `name` is what error messages call them.
 */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.length,
    read(offset, length) {
      checkRange(source, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length)); // a copy, which Buffer's slice is not
    },
    readInto(target, offset) {
      checkRange(source, offset, target.length);
      target.set(bytes.subarray(offset, offset + target.length));
    },
    [Symbol.dispose]() {},
  };
  return source;
}

/** A range in blocks of `most` bytes, the last one shorter: in one array, whose content each block overwrites. */
export function* readBlocks(
  source: ByteSource,
  begin: number,
  size: number,
  most: number,
): Iterable<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(Math.min(most, size));
  for (let at = 0; at < size; at += most) {
    const block = buffer.subarray(0, Math.min(most, size - at));
    source.readInto(block, begin + at);
    yield block;
  }
}

/** Zeroed bytes for something out of a file, whose size the file claims. */
export function allocateBytes(who: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw new FormatError(who, "no more at once than memory can hold", `${length} bytes`);
  }
}

/** @throws FormatError for a range that is not inside the source. */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  const sane = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!sane || offset + length > source.size) {
    throw new FormatError(
      source.name,
      `a range inside its ${source.size} bytes`,
      `${length} bytes at ${offset}`,
    );
  }
}
