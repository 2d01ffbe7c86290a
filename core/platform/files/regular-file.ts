import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { FormatError } from "../../formats/format-error.ts";

/** An open file and its length in bytes; whoever opened it closes it. */
export interface OpenFile {
  readonly fd: number;
  readonly size: number;
}

/**
 * Opens a regular file for reading. A pipe or a device is refused: opening one may wait for ever, reading may never
 * end.
 * @throws FormatError when there is no such file, or no right to read it.
 */
export function openRegular(path: string): OpenFile {
  const fd = openWithoutWaiting(path);
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  throw new FormatError(path, "a regular file", stat.isDirectory() ? "a folder" : "a device or pipe");
}

function openWithoutWaiting(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new FormatError(path, "a file that can be read", code === "ENOENT" ? "none" : message);
  }
}

/** One system call reads at most 2 GiB less a page on common systems; a GiB keeps away from that edge. */
const MAX_READ = 2 ** 30;

/** Fills `target` from byte `offset` of an open file on; `path` is for the error when the file ends before. */
export function readFully(fd: number, target: Uint8Array, offset: number, path: string): void {
  for (let done = 0; done < target.length; ) {
    const got = readSync(fd, target, done, Math.min(target.length - done, MAX_READ), offset + done);
    if (got === 0)
      throw new FormatError(path, `${offset + target.length} bytes`, "a file that shrank while being read");
    done += got;
  }
}

/**
 * All bytes of a regular file.
 * @param most largest size accepted, bytes: what is read whole stays small by nature.
 * @throws FormatError for anything but a readable regular file of at most that size.
 */
export function readWhole(path: string, most: number): Uint8Array<ArrayBuffer> {
  const { fd, size } = openRegular(path);
  try {
    if (size > most) throw new FormatError(path, `at most ${most} bytes`, `${size}`);
    const bytes = new Uint8Array(size);
    readFully(fd, bytes, 0, path);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** The text of a regular file in UTF-8, without a byte-order mark. Like `readWhole`. */
export function readText(path: string, most: number): string {
  return new TextDecoder().decode(readWhole(path, most));
}
