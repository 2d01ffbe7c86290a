/**
 * Files of one JSON value per line, such as `episodes.jsonl`. Whatever ends a program while it writes leaves whole
 * lines, and at most one torn one at the end.
 */
import {
  appendFileSync,
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { openFile, printable } from "../core/index.ts";

/** Largest file that is read as one text, bytes: strings end at 2^29 characters. 6,000 recorded episodes. */
export const MOST_TEXT_BYTES = 500e6;

/** The lines of a text, and what stands behind them: a line that lacks its end, "" where there is none. */
export function splitLines(text: string): { readonly lines: readonly string[]; readonly torn: string } {
  const lines = text.split("\n");
  const rest = lines.pop()!;
  // A last line may lack nothing but its newline.
  if (rest.trim() !== "" && isJson(rest)) return { lines: [...lines, rest], torn: "" };
  return { lines, torn: rest.trim() };
}

/** Bytes of a file that are in memory at a time, beside the line that is read. */
const BLOCK = 2 ** 20;
const NEWLINE = 0x0a;

/** A line of a file, and where it stands: with its newline, which the last one may lack. */
export interface JsonLine {
  readonly value: unknown;
  readonly begin: number;
  readonly end: number;
}

/**
 * The lines of a file one after the other: it may be of any length, and may grow meanwhile. Empty lines are left out,
 * and a torn last one.
 * @throws Error for a line that is no JSON, or longer than `MOST_TEXT_BYTES`.
 */
export function* readJsonLines(path: string): Generator<JsonLine> {
  using file = openFile(path);
  let parts: Uint8Array[] = []; // what was read of the line
  let [number, begin] = [1, 0];
  for (let at = 0; at < file.size; at += BLOCK) {
    const block = file.read(at, Math.min(BLOCK, file.size - at));
    let from = 0;
    for (let to = block.indexOf(NEWLINE); to >= 0; to = block.indexOf(NEWLINE, from)) {
      const text = Buffer.concat([...parts, block.subarray(from, to)]).toString();
      const end = at + to + 1;
      if (text.trim() !== "") yield { value: parse(text, `${path}, line ${number}`), begin, end };
      [parts, from, begin] = [[], to + 1, end];
      number++;
    }
    parts.push(block.subarray(from));
    if (parts.length * BLOCK > MOST_TEXT_BYTES)
      throw new Error(`${path}, line ${number}: expected at most ${MOST_TEXT_BYTES} bytes, found more`);
  }
  const last = Buffer.concat(parts).toString();
  if (last.trim() !== "" && isJson(last)) yield { value: JSON.parse(last), begin, end: file.size };
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${place}: expected JSON, found ${printable(text, 60)}`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What files hold of these lines, each with its newline, a line at a time: for `writeFileAtomic`. */
export function* copyLines(
  lines: Iterable<Pick<JsonLine, "begin" | "end">>,
  path: string,
): Generator<Uint8Array> {
  using file = openFile(path);
  for (const { begin, end } of lines) {
    const bytes = file.read(begin, end - begin);
    yield bytes;
    if (bytes.at(-1) !== NEWLINE) yield Uint8Array.of(NEWLINE);
  }
}

/**
 * Makes a file ready to be appended to: a last line that lacks nothing but its newline gets it, a torn one is taken
 * away.
 * @returns what was taken away, "" for nothing.
 */
export function mendLastLine(path: string): string {
  let whole = 0;
  for (const { end } of readJsonLines(path)) whole = end;
  using file = openFile(path);
  const [rest, isEnded] = [file.size - whole, whole === 0 || file.read(whole - 1, 1)[0] === NEWLINE];
  const torn = Buffer.from(file.read(whole, Math.min(rest, BLOCK)))
    .toString()
    .trim();
  if (rest > 0) truncateSync(path, whole);
  if (!isEnded) appendFileSync(path, "\n");
  return torn;
}

/** Appends a value as a line, flushed to disk. When that fails, what was written of the line is taken away again. */
export function appendJsonLine(path: string, value: unknown): void {
  try {
    const fd = openSync(path, "a");
    try {
      appendWhole(fd, Buffer.from(`${JSON.stringify(value)}\n`));
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new Error(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

function appendWhole(fd: number, line: Uint8Array): void {
  const { size } = fstatSync(fd);
  try {
    for (let done = 0; done < line.length; ) done += writeSync(fd, line, done);
    fsyncSync(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}
