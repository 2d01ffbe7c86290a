/** Puts the parts of a run together: `npx tsx vla/merge.ts --help`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { differences } from "./differences.ts";
import { assembleRun, refuseUsedFolder } from "./eval/assemble.ts";
import { NAMES } from "./eval/journal.ts";
import { type Manifest, readManifest } from "./eval/manifest.ts";
import { copyLines, readJsonLines } from "./json-lines.ts";

const schema = {
  usage: "npx tsx vla/merge.ts OUT PART...",
  description:
    "Puts the folders of vla/eval.ts --shard together, in any order: what was played on many machines is then, byte for\n" +
    "byte, what one machine would have written. Prints the table. Episodes that are in no part yet are played when the\n" +
    "command of the parts is given once more, without --shard and with --out OUT.\n" +
    "Exit code: 0 when all episodes are there, none of them an error; 1 otherwise, 2 for arguments it does not understand.",
  positionals: { OUT: "new folder of the whole run", "PART...": "folders of its parts" },
  options: {},
} as const satisfies CliSchema;

await runMain(() => {
  const { OUT: out, PART: parts } = parseCli(schema, process.argv.slice(2)).positionals;
  if (parts.length === 0) throw new UsageError("missing PART (see --help)");
  const [manifest, ...others] = parts.map((part) => wholeOf(readManifest(part)));
  for (const [i, other] of others.entries()) {
    const [difference] = differences(manifest, other);
    if (difference !== undefined)
      throw new Error(
        `${parts[i + 1]}: expected a part of the run of ${parts[0]}, found another: ${difference}`,
      );
  }
  refuseUsedFolder(out);
  const linesOfAll = (name: string) => linesOf(parts.map((part) => join(part, name)));
  process.exitCode = assembleRun(out, manifest, {
    episodes: linesOfAll(NAMES.episodes),
    timings: linesOfAll(NAMES.timings),
  });
});

/** The manifest of the run that a part is of. */
function wholeOf({ shard: _, ...manifest }: Manifest): Manifest {
  return manifest;
}

/** A part may have nothing yet, and may have been killed while it wrote. */
function* linesOf(paths: readonly string[]): Generator<Uint8Array> {
  for (const path of paths) if (existsSync(path)) yield* copyLines(readJsonLines(path), path);
}
