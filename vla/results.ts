/** Writes the page of results from the files of vla/experiments.ts: `npx tsx vla/results.ts --help`. */
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { readText, writeFileAtomic } from "../core/index.ts";
import { collectFindings } from "./experiments/collect.ts";
import { reportPage } from "./experiments/report.ts";

const schema = {
  usage: "npx tsx vla/results.ts RUNS [--out docs/results.md]",
  description:
    "Writes tables of what vla/experiments.ts has found out so far, with the commands that made them, between the texts of\n" +
    "docs/results/. What was not measured shows as -; a damaged file is an error.",
  positionals: { RUNS: "the folder that vla/experiments.ts wrote" },
  options: { out: { type: "string", help: "file for the page; otherwise it is printed" } },
} as const satisfies CliSchema;

await runMain(() => {
  const { positionals, out } = parseCli(schema, process.argv.slice(2));
  const text = (name: string): string =>
    readText(fileURLToPath(new URL(`../docs/results/${name}`, import.meta.url)), 2 ** 20);
  const texts = { setup: text("setup.md"), agreement: text("agreement.md") };
  const page = reportPage(collectFindings(positionals.RUNS), texts);
  if (out === undefined) process.stdout.write(page);
  else writeFileAtomic(out, page);
});
