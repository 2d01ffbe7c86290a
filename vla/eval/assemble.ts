import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "../../core/index.ts";
import { tryReport } from "../report/write-report.ts";
import { NAMES } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { type Manifest, tasksOf } from "./manifest.ts";

/** @throws Error for a folder in which a run has begun. */
export function refuseUsedFolder(out: string): void {
  for (const name of Object.values(NAMES))
    if (existsSync(join(out, name))) throw new Error(`${out}: expected a new folder, found one with ${name}`);
}

/**
 * Writes the folder of a run from lines of its episodes, in any order, and prints the table: what one machine would
 * have written.
 *
 * @param lines of the run's `episodes.jsonl` and `timings.jsonl`, each with its newline.
 * @returns the exit code: 0 when all episodes are there, none of them an error.
 */
export function assembleRun(
  out: string,
  manifest: Manifest,
  lines: { readonly episodes: Iterable<Uint8Array>; readonly timings: Iterable<Uint8Array> },
): 0 | 1 {
  makeFolder(out);
  for (const name of ["timings", "episodes"] as const) writeFileAtomic(join(out, NAMES[name]), lines[name]);
  // Last: only now is it the folder of a run.
  writeFileAtomic(join(out, NAMES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
  using ledger = Ledger.open({ out }, manifest, tasksOf(manifest));
  ledger.close();
  tryReport(out);
  return ledger.complete && ledger.errors === 0 ? 0 : 1;
}
