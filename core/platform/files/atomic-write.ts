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
import { setImmediate } from "node:timers/promises";
import type { Content } from "../platform.ts";

let serial = 0;

/**
 * Writes a file so that its name holds either the old content or all of the new: first under a temporary name beside
 * it, flushed to disk, then renamed. When writing or producing fails, the temporary file is removed and the error
 * passed on. A link stays a link: the file that it names is replaced. What is no file, such as a pipe or
 * /dev/stdout, is written to directly.
 */
export function writeFileAtomic(path: string, content: Content): void {
  using target = openTarget(path);
  for (const chunk of chunksOf(content)) writeChunk(target.fd, chunk);
  target.commit();
}

/**
 * The same with other work between any two chunks, for files that take long: a signal finds somebody at home. A
 * process that exits meanwhile leaves no temporary file.
 */
export async function writeFileInTurns(path: string, content: Iterable<Uint8Array>): Promise<void> {
  using target = openTarget(path);
  for (const chunk of content) {
    writeChunk(target.fd, chunk);
    await setImmediate();
  }
  target.commit();
}

/** Where bytes go until `commit`. Disposed without it, what they would have replaced is as it was. */
interface Target extends Disposable {
  readonly fd: number;
  commit(): void;
}

function openTarget(path: string): Target {
  if (isReplaceable(path)) return openReplacement(path, statSync(path, { throwIfNoEntry: false })?.mode);
  const descriptor = descriptorOf(path);
  if (descriptor !== null) return { fd: descriptor, commit() {}, [Symbol.dispose]() {} };
  const fd = open(path, "w", path);
  return { fd, commit() {}, [Symbol.dispose]: () => closeSync(fd) };
}

/**
 * Whether a file may be written again and again, each content in place of the last. What is no file, or is open
 * already, gets one after the other.
 * @throws Error for a folder.
 */
export function isReplaceable(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) throw new Error(`${path}: cannot be written: it is a folder`);
  return descriptorOf(path) === null && (!stat || stat.isFile());
}

function openReplacement(path: string, mode: number | undefined): Target {
  const file = behindLinks(path);
  const temporary = `${file}.${process.pid}.${serial++}.tmp`;
  const fd = open(temporary, "wx", path);
  unfinished.add(temporary);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  return {
    fd,
    commit() {
      if (mode !== undefined) fchmodSync(fd, mode & 0o777);
      fsyncSync(fd);
      close();
      renameSync(temporary, file);
      unfinished.delete(temporary);
    },
    [Symbol.dispose]() {
      close();
      if (unfinished.delete(temporary)) rmSync(temporary, { force: true });
    },
  };
}

/** Temporary files being written: they go when the process exits before they have their name. */
const unfinished = new Set<string>();
process.on("exit", () => {
  for (const temporary of unfinished) rmSync(temporary, { force: true });
});

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

function writeChunk(fd: number, chunk: Uint8Array): void {
  for (let done = 0; done < chunk.length; ) done += writeSome(fd, chunk, done);
}

/** A pipe that process.stdout or process.stderr has taken hold of does not wait for its reader, so we do. */
function writeSome(fd: number, chunk: Uint8Array, from: number): number {
  try {
    return writeSync(fd, chunk, from);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    return 0;
  }
}

function chunksOf(content: Content): Iterable<Uint8Array> {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}
