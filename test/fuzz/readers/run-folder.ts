import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Ledger } from "../../../vla/eval/ledger.ts";
import { type Manifest, tasksOf } from "../../../vla/eval/manifest.ts";
import { pairsOf } from "../../../vla/receipts/paired-difference.ts";
import { incomparable, pairUp } from "../../../vla/receipts/pairing.ts";
import { readRunFolder } from "../../../vla/report/run-folder.ts";
import { someLine, someManifest } from "../../vla/report/some-run.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { jsonValues } from "../structure.ts";

const manifest = someManifest("push", 2, 2);
const lines = [0, 1].flatMap((task) => [
  someLine("push", task, 0, "success"),
  someLine("push", task, 1, task === 0 ? "failure" : "error"),
]);
const timings = lines.map(({ task, init }) => ({
  task,
  init,
  policyMs: 1.5,
  simMs: 2,
  renderMs: null,
  controlHz: 20,
}));
const jsonl = (values: readonly object[]): Buffer =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));

/** A run's folder, as its report and a comparison read it, and as the run itself goes on with it. */
const reader: Reader = {
  seeds: [
    { file: "run/manifest.json", bytes: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) },
    { file: "run/episodes.jsonl", bytes: jsonl(lines) },
    { file: "run/timings.jsonl", bytes: jsonl(timings) },
  ],
  mutations: [jsonValues],
  prepare: () => (path) => {
    const folder = dirname(path);
    const run = readRunFolder(folder);
    const { all, dropped } = pairUp(run, run);
    const starts = Object.values(dropped).reduce((sum, n) => sum + n, pairsOf(all));
    if (starts !== run.manifest.tasks.length * run.manifest.episodes) throw new BrokenLaw(`${starts} starts`);
    if (incomparable(run.manifest, run.manifest).length > 0) throw new BrokenLaw("unlike itself");
    goOn(folder);
    return `${run.episodes.length} episodes`;
  },
};

/** What the next start of the same run does. */
function goOn(folder: string): void {
  const own: Manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const same = `${JSON.stringify(own, null, 2)}\n` === readFileSync(join(folder, "manifest.json"), "utf8");
  if (!same) return; // another run's, and refused
  using ledger = Ledger.open({ out: folder }, own, tasksOf(own));
  if (ledger.done > ledger.planned) throw new BrokenLaw("more episodes than planned");
  if (ledger.table === "") throw new BrokenLaw("no table");
}

export default reader;
