import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a folder and those above it, where they are missing. Node's own recursive `mkdir` never ends where a file
 * system denies that the folder above exists, as /proc does.
 * @throws Error that names the folder when it cannot be made.
 */
export function makeFolder(path: string): void {
  const folder = resolve(path);
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return; // another process was faster
    throw new Error(`${path}: the folder cannot be made: ${message}`, { cause });
  }
}
