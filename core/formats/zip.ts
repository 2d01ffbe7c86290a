import { crc32 } from "../platform/node.ts";
import { type ByteSource, readBlocks } from "./byte-source.ts";
import { toHex } from "./bytes.ts";
import { FormatError } from "./format-error.ts";

/**
 * Reader of ZIP archives whose entries are stored, not compressed, as PyTorch writes them
 * (PKWARE APPNOTE 6.3: end record 4.3.16, zip64 4.3.14 and 4.3.15, central header 4.3.12, local header 4.3.7).
 *
 * Sizes and checksums come from the central directory, since PyTorch's local headers carry zeros. The payload's
 * position comes from the local header, since its extra field (alignment padding) is missing in the central one.
 *
 * PyTorch can be told to leave checksums out (`torch.serialization.set_crc32_options(False)`) and writes zeros then: an
 * archive whose checksums are all zero has none, and its damage cannot be seen.
 */
export interface Zip {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Where the entry's payload starts in the source; reads and checks its local header, not the payload. */
  locate(entry: ZipEntry): number;
  /** The whole payload, its checksum verified. */
  read(entry: ZipEntry): Uint8Array<ArrayBuffer>;
  /** The payload in blocks of `most` bytes, each overwritten by the next; its checksum is verified after the last. */
  blocks(entry: ZipEntry, most: number): Iterable<Uint8Array<ArrayBuffer>>;
  /** Verifies the checksum by reading the payload block by block; a payload verified before is not read again. */
  verify(entry: ZipEntry): void;
}

export interface ZipEntry {
  readonly name: string;
  /** Payload length in bytes. */
  readonly size: number;
  readonly headerOffset: number;
  /** CRC-32 of the payload. */
  readonly checksum: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;

const END_LENGTH = 22;
const CENTRAL_LENGTH = 46;
const LOCAL_LENGTH = 30;
const MAX_COMMENT = 0xffff;
/** Room for about half a million entries; a directory is held in memory whole. */
const MAX_DIRECTORY = 64 * 2 ** 20;

const ENCRYPTED = 0x0001 | 0x0040 | 0x2000;

/** Bytes that a checksum takes at a time. */
const BLOCK = 2 ** 20;

export function openZip(source: ByteSource): Zip {
  const who = source.name;
  const directory = findDirectory(source);
  const entries = readDirectory(source, directory);
  const summed = [...entries.values()].some(({ checksum }) => checksum !== 0);
  const verified = new Set<ZipEntry>();

  const compare = (entry: ZipEntry, checksum: number): void => {
    if (summed && checksum !== entry.checksum) {
      throw new FormatError(
        `${who}, ${entry.name}`,
        `bytes of the checksum ${hex(entry.checksum)}`,
        `${hex(checksum)}: the file is damaged`,
      );
    }
    verified.add(entry);
  };

  const zip: Zip = {
    entries,
    read(entry) {
      const bytes = source.read(zip.locate(entry), entry.size);
      let checksum = 0;
      for (let at = 0; at < bytes.length; at += BLOCK)
        checksum = crc32(bytes.subarray(at, at + BLOCK), checksum);
      compare(entry, checksum);
      return bytes;
    },
    *blocks(entry, most) {
      let checksum = 0;
      for (const block of readBlocks(source, zip.locate(entry), entry.size, most)) {
        checksum = crc32(block, checksum);
        yield block;
      }
      compare(entry, checksum);
    },
    verify(entry) {
      if (!summed || verified.has(entry)) return;
      for (const _ of zip.blocks(entry, BLOCK)); // verified at the end
    },
    locate(entry) {
      const room = directory.offset - entry.headerOffset;
      if (room < LOCAL_LENGTH) throw new FormatError(who, `a local header of ${entry.name}`, "the directory");
      const header = view(source.read(entry.headerOffset, LOCAL_LENGTH));
      const signature = header.getUint32(0, true);
      if (signature !== LOCAL) throw new FormatError(who, `a local header of ${entry.name}`, hex(signature));
      const nameLength = header.getUint16(26, true);
      const skip = LOCAL_LENGTH + nameLength + header.getUint16(28, true);
      if (skip + entry.size > room) {
        throw new FormatError(
          who,
          `${entry.size} bytes of ${entry.name} before the directory`,
          `${room - skip}`,
        );
      }
      const name = decodeName(who, source.read(entry.headerOffset + LOCAL_LENGTH, nameLength));
      if (name !== entry.name)
        throw new FormatError(who, `entry ${entry.name}`, `${name} in its local header`);
      return entry.headerOffset + skip;
    },
  };
  return zip;
}

interface Directory {
  readonly offset: number;
  readonly length: number;
  readonly count: number;
}

/** Finds the end record (last thing in the file but for a comment), and the zip64 one where it is announced. */
function findDirectory(source: ByteSource): Directory {
  const who = source.name;
  const tailOffset = Math.max(0, source.size - END_LENGTH - MAX_COMMENT);
  const tail = view(source.read(tailOffset, source.size - tailOffset));

  let at = tail.byteLength - END_LENGTH;
  const isEnd = (i: number): boolean =>
    tail.getUint32(i, true) === END && i + END_LENGTH + tail.getUint16(i + 20, true) === tail.byteLength;
  while (at >= 0 && !isEnd(at)) at--;
  if (at < 0) throw new FormatError(who, "a ZIP archive", "no end record: truncated, or another format");

  const endOffset = tailOffset + at;
  const disks = tail.getUint16(at + 4, true) | tail.getUint16(at + 6, true);
  let directory: Directory = {
    count: tail.getUint16(at + 10, true),
    length: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  let limit = endOffset;
  if (at >= 20 && tail.getUint32(at - 20, true) === END64_LOCATOR) {
    limit = toSafe(who, "offset of the zip64 end record", tail.getBigUint64(at - 12, true));
    const end64 = view(source.read(limit, 56));
    if (end64.getUint32(0, true) !== END64) {
      throw new FormatError(who, "a zip64 end record", hex(end64.getUint32(0, true)));
    }
    directory = {
      count: toSafe(who, "entry count", end64.getBigUint64(32, true)),
      length: toSafe(who, "directory length", end64.getBigUint64(40, true)),
      offset: toSafe(who, "directory offset", end64.getBigUint64(48, true)),
    };
  } else if (disks !== 0) {
    throw new FormatError(who, "a ZIP archive in one part", "one of several disks");
  }
  if (directory.offset + directory.length > limit) {
    const end = directory.offset + directory.length;
    throw new FormatError(who, `a directory that ends before byte ${limit}`, `one ending at ${end}`);
  }
  if (directory.length > MAX_DIRECTORY) {
    throw new FormatError(who, `a directory of at most ${MAX_DIRECTORY} bytes`, `${directory.length}`);
  }
  return directory;
}

function readDirectory(source: ByteSource, directory: Directory): Map<string, ZipEntry> {
  const who = source.name;
  const bytes = source.read(directory.offset, directory.length);
  const header = view(bytes);
  const entries = new Map<string, ZipEntry>();

  let at = 0;
  let seen = 0;
  for (; at < bytes.length; seen++) {
    if (at + CENTRAL_LENGTH > bytes.length || header.getUint32(at, true) !== CENTRAL) {
      throw new FormatError(who, `directory entry ${seen} of ${directory.count}`, `other bytes at ${at}`);
    }
    const nameAt = at + CENTRAL_LENGTH;
    const extraAt = nameAt + header.getUint16(at + 28, true);
    const commentAt = extraAt + header.getUint16(at + 30, true);
    const next = commentAt + header.getUint16(at + 32, true);
    if (next > bytes.length) throw new FormatError(who, "a whole directory entry", `one cut off at ${at}`);
    const name = decodeName(who, bytes.subarray(nameAt, extraAt));
    if (entries.has(name)) throw new FormatError(who, "distinct entries", `${name} twice`);

    if (header.getUint16(at + 8, true) & ENCRYPTED) {
      throw new FormatError(who, "unencrypted entries", `${name} encrypted`);
    }
    const method = header.getUint16(at + 10, true);
    if (method !== 0) throw new FormatError(who, "stored entries", `${name} compressed (method ${method})`);

    const sizes = readSizes(who, name, header, at, extraAt, commentAt);
    if (sizes.compressed !== sizes.size) {
      throw new FormatError(who, `${name} stored in ${sizes.size} bytes`, `${sizes.compressed}`);
    }
    if (sizes.headerOffset + LOCAL_LENGTH + sizes.size > directory.offset) {
      throw new FormatError(
        who,
        `${name} before the directory`,
        `${sizes.size} bytes at ${sizes.headerOffset}`,
      );
    }
    const checksum = header.getUint32(at + 16, true);
    entries.set(name, { name, size: sizes.size, headerOffset: sizes.headerOffset, checksum });
    at = next;
  }
  if (seen !== directory.count) throw new FormatError(who, `${directory.count} entries`, `${seen}`);
  return entries;
}

/** Sizes and position of one entry; a field of all ones stands in the zip64 extra block instead (4.5.3). */
function readSizes(
  who: string,
  name: string,
  header: DataView,
  at: number,
  extraAt: number,
  extraEnd: number,
) {
  let compressed = header.getUint32(at + 20, true);
  let size = header.getUint32(at + 24, true);
  let headerOffset = header.getUint32(at + 42, true);
  if (size === 0xffffffff || compressed === 0xffffffff || headerOffset === 0xffffffff) {
    let [field, end] = findZip64(who, name, header, extraAt, extraEnd);
    const next = (what: string): number => {
      if (field + 8 > end) throw new FormatError(who, `the zip64 ${what} of ${name}`, "too short a block");
      field += 8;
      return toSafe(who, `${what} of ${name}`, header.getBigUint64(field - 8, true));
    };
    if (size === 0xffffffff) size = next("size");
    if (compressed === 0xffffffff) compressed = next("compressed size");
    if (headerOffset === 0xffffffff) headerOffset = next("offset");
  }
  return { compressed, size, headerOffset };
}

function findZip64(who: string, name: string, header: DataView, at: number, end: number): [number, number] {
  while (at + 4 <= end) {
    const next = at + 4 + header.getUint16(at + 2, true);
    if (header.getUint16(at, true) === 1 && next <= end) return [at + 4, next];
    at = next;
  }
  throw new FormatError(who, `a zip64 block for ${name}`, "none");
}

function decodeName(who: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError(who, "entry names in UTF-8", `bytes ${toHex(bytes.subarray(0, 20))}`);
  }
}

function toSafe(who: string, what: string, value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) throw new FormatError(who, `a ${what} below 2^53`, `${value}`);
  return Number(value);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const hex = (word: number): string => `0x${word.toString(16).padStart(8, "0")}`;
