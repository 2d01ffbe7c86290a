import { closeSync } from "node:fs";
import { allocateBytes, type ByteSource, checkRange } from "../../formats/byte-source.ts";
import { openRegular, readFully } from "./regular-file.ts";

/** Opens a regular file for positioned reads; dispose it (`using`) to close the handle. */
export function openFile(path: string): ByteSource {
  const { fd, size } = openRegular(path);
  let open = true;
  const source: ByteSource = {
    name: path,
    size,
    read(offset, length) {
      checkRange(source, offset, length);
      const bytes = allocateBytes(path, length);
      source.readInto(bytes, offset);
      return bytes;
    },
    readInto(target, offset) {
      checkRange(source, offset, target.length);
      // A number that has been given back may by now stand for another file.
      if (!open) throw new Error(`${path}: read after it was closed`);
      readFully(fd, target, offset, path);
    },
    [Symbol.dispose]() {
      if (open) closeSync(fd);
      open = false;
    },
  };
  return source;
}
