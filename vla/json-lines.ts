/**
 * Files of one JSON value per line, such as `episodes.jsonl`. Whatever ends a program while it writes leaves whole lines,
 * and at most one torn one at the end.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";

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
