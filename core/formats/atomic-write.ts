import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

let serial = 0;

/**
 * Writes a file so that its name holds either the old content or all of the new: first under a temporary name beside
 * it, flushed to disk, then renamed. Chunks are written as they come, so they may be produced one by one.
 * When writing or producing fails, the temporary file is removed and the error passed on.
 */
export function writeFileAtomic(path: string, content: Uint8Array | string | Iterable<Uint8Array>): void {
  const temporary = `${path}.${process.pid}.${serial++}.tmp`;
  const fd = openTemporary(temporary, path);
  try {
    try {
      for (const chunk of chunksOf(content)) {
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The caller knows the file by its own name. */
function openTemporary(temporary: string, path: string): number {
  try {
    return openSync(temporary, "wx");
  } catch (cause) {
    throw new Error(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

function chunksOf(content: Uint8Array | string | Iterable<Uint8Array>): Iterable<Uint8Array> {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}
