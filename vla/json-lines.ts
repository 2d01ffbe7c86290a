/**
 * Files of one JSON value per line, such as `episodes.jsonl`. Whatever ends a program while it writes leaves whole lines,
 * and at most one torn one at the end.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
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

/**
 * The values of a file's lines one after the other: the file may be of any length, and may grow meanwhile. Empty lines and
 * a torn last one are left out.
 * @throws Error for a line that is no JSON, or longer than `MOST_TEXT_BYTES`.
 */
export function* readJsonLines(path: string): Generator<unknown> {
  using file = openFile(path);
  let line: Uint8Array[] = []; // what was read of it
  let number = 1;
  for (let at = 0; at < file.size; at += BLOCK) {
    const block = file.read(at, Math.min(BLOCK, file.size - at));
    let begin = 0;
    for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, begin)) {
      const text = Buffer.concat([...line, block.subarray(begin, end)]).toString();
      if (text.trim() !== "") yield parse(text, `${path}, line ${number}`);
      [line, begin] = [[], end + 1];
      number++;
    }
    line.push(block.subarray(begin));
    if (line.length * BLOCK > MOST_TEXT_BYTES)
      throw new Error(`${path}, line ${number}: expected at most ${MOST_TEXT_BYTES} bytes, found more`);
  }
  const last = Buffer.concat(line).toString();
  if (last.trim() !== "" && isJson(last)) yield JSON.parse(last);
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
