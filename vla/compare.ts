/** Sets runs side by side, start by start: `npx tsx vla/compare.ts --help`. */
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { printable } from "../core/index.ts";
import { inOneLine } from "./differences.ts";
import { type Column, renderTable } from "./eval/table.ts";
import { rateOf } from "./eval/wilson.ts";
import {
  mcnemar,
  type PairCounts,
  pairedDifference,
  pairsOf,
  successesOf,
} from "./receipts/paired-difference.ts";
import { incomparable, type Pairing, pairUp } from "./receipts/pairing.ts";
import { type RunFolder, readRunFolder } from "./report/run-folder.ts";

const schema = {
  usage: "npx tsx vla/compare.ts A B... [options]",
  description:
    "Compares each run B with run A, over the starts that both have: success rates, the difference with its 95 % interval\n" +
    "(Newcombe's for paired proportions) and McNemar's exact test, per task and over all. All runs must have had to play\n" +
    "the same: suite, task files, starts, seed, protocol, perturbations, contacts; others are refused.\n" +
    "Exit code: 0 when they were compared, 1 when they cannot be, 2 for arguments it does not understand.",
  positionals: { A: "folder of a run of vla/eval.ts --out", "B...": "folders of runs to compare with it" },
  options: {
    json: { type: "boolean", help: "prints a line of JSON for each B, and no table" },
    force: { type: "boolean", help: "compares what starts they share all the same, and says what differs" },
  },
} as const satisfies CliSchema;

await runMain(() => {
  const { positionals, json, force } = parseCli(schema, process.argv.slice(2));
  if (positionals.B.length === 0) throw new UsageError("missing B (see --help)");
  const a = readRunFolder(positionals.A);
  const compared = positionals.B.map((folder) => {
    const b = readRunFolder(folder);
    const differing = incomparable(a.manifest, b.manifest);
    if (differing.length > 0 && !force)
      throw new Error(
        `${folder}: expected a run that had to play the same as ${a.folder}, found another: ` +
          `${inOneLine(differing)}; --force compares all the same`,
      );
    const pairing = pairUp(a, b);
    if (pairsOf(pairing.all) === 0)
      throw new Error(`${folder}: expected starts that ${a.folder} has played as well, found none`);
    return { b, differing, pairing };
  });
  for (const { b, differing, pairing } of compared)
    console.log(json ? asJson(a, b, differing, pairing) : asText(a, b, differing, pairing));
});

function asJson(a: RunFolder, b: RunFolder, differing: readonly string[], pairing: Pairing): string {
  const { all, tasks, dropped } = pairing;
  return JSON.stringify({
    a: a.folder,
    b: b.folder,
    differing,
    dropped,
    all: statisticsOf(all),
    tasks: tasks.map(({ task, counts }) => ({ task, ...statisticsOf(counts) })),
  });
}

/** Without pairs there is neither a difference nor a p. */
function statisticsOf(counts: PairCounts) {
  if (pairsOf(counts) === 0) return { ...counts, difference: null, interval: null, p: null };
  const { difference, low, high } = pairedDifference(counts);
  return { ...counts, difference, interval: [low, high], p: mcnemar(counts) };
}

function asText(a: RunFolder, b: RunFolder, differing: readonly string[], pairing: Pairing): string {
  const { all, tasks, dropped } = pairing;
  const columns: Column[] = [
    { title: "task", align: "left" },
    ...["pairs", "A [95 %]", "B [95 %]", "B - A [95 %]", "only A", "only B", "p"].map(
      (title) => ({ title, align: "right" }) as const,
    ),
  ];
  const left = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const why = Object.entries(dropped).map(([reason, count]) => `${count} ${reason}`);
  return [
    `A  ${nameOf(a)}`,
    `B  ${nameOf(b)}`,
    ...(differing.length > 0 ? ["NOT COMPARABLE, compared all the same:", ...differing] : []),
    "",
    renderTable(
      columns,
      tasks.map(({ task, counts }) => [printable(task), ...cellsOf(counts)]),
      ["all tasks", ...cellsOf(all)],
    ),
    "",
    `${pairsOf(all)} pairs; ${left} starts left out${left > 0 ? `: ${why.join(", ")}` : ""}.`,
    "Rates and differences in percent. p: McNemar's exact test, two-sided, each row for itself: of twenty tasks without any",
    "difference one is below 0.05.",
  ]
    .map((text) =>
      text
        .split("\n")
        .map((line) => printable(line, 1000))
        .join("\n"),
    )
    .join("\n");
}

function nameOf({ folder, manifest: { run, policyDigest } }: RunFolder): string {
  return `${folder}: ${run.policy}${policyDigest ? ` (${policyDigest.slice(0, 12)})` : ""}`;
}

function cellsOf(counts: PairCounts): string[] {
  const n = pairsOf(counts);
  const { a, b } = successesOf(counts);
  const { onlyA, onlyB } = counts;
  return [
    String(n),
    rateOf(a, n),
    rateOf(b, n),
    differenceOf(counts),
    String(onlyA),
    String(onlyB),
    pOf(counts),
  ];
}

function differenceOf(counts: PairCounts): string {
  if (pairsOf(counts) === 0) return "-";
  const { difference, low, high } = pairedDifference(counts);
  const percent = (rate: number): string => `${rate > 0 ? "+" : ""}${(100 * rate).toFixed(1)}`;
  return `${percent(difference)} [${percent(low)}, ${percent(high)}]`;
}

function pOf(counts: PairCounts): string {
  if (pairsOf(counts) === 0) return "-";
  const p = mcnemar(counts);
  return p < 0.0001 ? p.toExponential(1) : p.toFixed(4);
}
