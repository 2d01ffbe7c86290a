/** Writes a run as a page to look at: `npx tsx vla/report.ts --help`. */
import { join } from "node:path";
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { REPORT, writeReport } from "./report/write-report.ts";

const schema = {
  usage: "npx tsx vla/report.ts RUN [--out FILE]",
  description:
    "Writes what a run of vla/eval.ts --out found out as one HTML file, which opens from disk: the table, a bar for each task,\n" +
    "and every episode with its time lines and pictures, failures first. The run may still go on.",
  positionals: { RUN: "the folder of the run" },
  options: {
    out: { type: "string", help: `file for the page; otherwise ${REPORT} in RUN` },
  },
} as const satisfies CliSchema;

await runMain(() => {
  const { positionals, out } = parseCli(schema, process.argv.slice(2));
  writeReport(positionals.RUN, out ?? join(positionals.RUN, REPORT));
});
