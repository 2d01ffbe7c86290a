import {
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";

/** What a file is made of; chunks are written as they come, so they may be produced one by one. */
export type Content = Uint8Array | string | Iterable<Uint8Array>;

let serial = 0;

/**
 * Writes a file so that its name holds either the old content or all of the new: first under a temporary name beside
 * it, flushed to disk, then renamed. When writing or producing fails, the temporary file is removed and the error
 * passed on. A link stays a link: the file that it names is replaced. What is no file, such as a pipe or
 * /dev/stdout, is written to directly.
 */
export function writeFileAtomic(path: string, content: Content): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) throw new Error(`${path}: cannot be written: it is a folder`);
  const descriptor = descriptorOf(path);
  if (descriptor !== null) writeChunks(descriptor, content);
  else if (stat && !stat.isFile()) closing(open(path, "w", path), (fd) => writeChunks(fd, content));
  else replaceFile(path, content, stat?.mode);
}

function replaceFile(path: string, content: Content, mode: number | undefined): void {
  const file = behindLinks(path);
  const temporary = `${file}.${process.pid}.${serial++}.tmp`;
  const fd = open(temporary, "wx", path);
  try {
    closing(fd, () => {
      if (mode !== undefined) fchmodSync(fd, mode & 0o777);
      writeChunks(fd, content);
      fsyncSync(fd);
    });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The number of something that this process has open already, which cannot always be opened again by its name. */
function descriptorOf(path: string): number | null {
  const name = resolve(path).match(/^\/(?:dev|proc\/self)\/(?:(stdout)|(stderr)|fd\/(\d+))$/);
  if (!name) return null;
  return name[1] ? 1 : name[2] ? 2 : Number(name[3]);
}

/** Where a chain of links ends, whether there is a file yet or not. */
function behindLinks(path: string): string {
  let file = path;
  while (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
    file = resolve(dirname(file), readlinkSync(file));
  }
  return file;
}

/** Opens a file for writing; `path` is the name that the caller knows. */
function open(file: string, flags: "w" | "wx", path: string): number {
  try {
    return openSync(file, flags);
  } catch (cause) {
    throw new Error(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

function closing(fd: number, write: (fd: number) => void): void {
  try {
    write(fd);
  } finally {
    closeSync(fd);
  }
}

function writeChunks(fd: number, content: Content): void {
  for (const chunk of chunksOf(content)) {
    for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
  }
}

function chunksOf(content: Content): Iterable<Uint8Array> {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}
