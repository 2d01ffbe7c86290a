import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What `body` makes of an empty folder, which is gone afterwards. */
export function inScratch<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "fuzz-seeds-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  let made: T;
  try {
    made = body(folder);
  } catch (error) {
    remove();
    throw error;
  }
  if (made instanceof Promise) return made.finally(remove) as T;
  remove();
  return made;
}
