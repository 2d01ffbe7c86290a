import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wilsonInterval } from "../../../vla/eval/wilson.ts";
import { collectFindings } from "../../../vla/experiments/collect.ts";
import { markdownTable } from "../../../vla/experiments/markdown.ts";
import { openFolder } from "../../../vla/experiments/record.ts";
import { reportPage } from "../../../vla/experiments/report.ts";
import { runAll, timeDecoders } from "../../../vla/experiments/runner.ts";
import { runsOf } from "../../../vla/experiments/runs.ts";
import { leaveResults, resultsOf, settingsIn, witness, write } from "./fake-runs.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-results-"));
afterAll(() => rmSync(root, { recursive: true }));
const texts = { setup: "# By hand\n", agreement: "## Agrees\n\nIt does.\n" };
const pageOf = (folder: string): string => reportPage(collectFindings(folder), texts);

/** The cells of the first row of a table that begins with a title. */
const rowOf = (page: string, title: string): string[] =>
  (page.split("\n").find((line) => line.startsWith(`| ${title} `)) ?? "")
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** Does all runs but those of which `skip` is true. */
async function runIn(out: string, skip: (name: string) => boolean = () => false): Promise<void> {
  const settings = settingsIn(out);
  openFolder(settings);
  const { launch, overseer } = witness((command) =>
    skip(command.args.join(" ")) ? { code: 1, stdout: "", stderr: "Error: a |bar|" } : leaveResults(command),
  );
  const runs = runsOf(settings);
  await runAll(runs, launch, overseer);
  await timeDecoders(out, runs, launch, overseer);
}

describe("a page of finished runs", () => {
  const [out, moved] = [join(root, "whole"), join(root, "moved")];
  let page = "";
  beforeAll(async () => {
    await runIn(out);
    renameSync(out, moved); // a table can be made elsewhere
    page = pageOf(moved);
  });

  test("pools the seeds' episodes, and shows each seed beside them", () => {
    // Of 8 episodes, seed 0 fails none, seed 1 one, seed 2 two; at temperature 0.5 nobody fails.
    const [low, high] = wilsonInterval(21, 24).map((x) => (100 * x).toFixed(1));
    const [sure] = wilsonInterval(24, 24).map((x) => (100 * x).toFixed(1));
    expect(rowOf(page, "NinA MLP")).toEqual([
      ...["NinA MLP", "1.00 M", "24", `87.5 [${low}, ${high}]`, "75.0, 87.5, 100.0"],
      ...[`at 0.5: 100.0 [${sure}, 100.0]`, "100.0, 100.0, 100.0"],
      ...["0.50", "492"], // the fastest stretch: the first of the last seed
    ]);
  });

  test("says which decoders have no other temperature", () => {
    expect(rowOf(page, "FLOWER, large").slice(5, 7)).toEqual(["the same", "the same"]);
  });

  test("counts task by task", () => {
    expect(rowOf(page, "push").slice(0, 2)).toEqual(["push", "9 of 12"]);
    expect(rowOf(page, "pull").slice(0, 2)).toEqual(["pull", "12 of 12"]);
  });

  test("compares what varies with the decoder that it was varied of", () => {
    expect(rowOf(page, "0.03").slice(1)).toEqual(rowOf(page, "NinA MLP").slice(1));
    expect(rowOf(page, "without")[2]).toBe("12");
  });

  test("has the commands, with words for this machine's folders and one line for all seeds", () => {
    const block = page.slice(page.indexOf("```sh"), page.indexOf("### Task by task"));
    expect(block).toContain(
      "npx tsx vla/train.ts --data DATA --encoder ENCODER --frozen --out RUNS/flower-small-seed-SEED/train " +
        "--decoder flower --width 32 --steps 20 --seed SEED --threads 1 --episodes 0\n",
    );
    expect(block).toContain("--json RUNS/mse-seed-SEED/temperature-1.json\n");
    expect(block).toContain("npx tsx benchmarks/checkpoints.ts RUNS/nina-mlp-seed-0/train/last RUNS/");
    expect(block.match(/vla\/train\.ts/g)).toHaveLength(5);
    expect(page).not.toContain(root);
  });

  test("keeps the texts as they are, and tells where the numbers are from", () => {
    expect(page).toContain("\n\n# By hand\n\n");
    expect(page.endsWith("\n\n## Agrees\n\nIt does.\n")).toBe(true);
    expect(page).toContain(
      "Trained for 20 updates, 5,120 examples; 4 episodes per task and seed, 2 in the ablations",
    );
    expect(page).toContain("MuJoCo 3.14.0, contacts mujoco-2.3, fused multiply-add");
    expect(page).toContain("- encoder f00d\n");
    expect(page).not.toMatch(/: without|failed/);
  });
});

test("what is missing shows as missing, with what the run said", async () => {
  const out = join(root, "gaps");
  await runIn(out, (words) => words.includes("mse-seed-") || words.includes("flower-small-seed-1/train "));
  const page = pageOf(out);
  expect(rowOf(page, "MSE")).toEqual(["MSE", "-", "-", "-", "-", "the same", "the same", "-", "-"]);
  expect(rowOf(page, "FLOWER, small")[2]).toBe("16");
  expect(page).toContain(
    "- MSE, seed 0, 1, 2: without train, temperature-1 (failed: exit code 1: Error: a |bar|)",
  );
  expect(page).toContain(
    "- FLOWER, small, seed 1: without train, temperature-1 (failed: exit code 1: Error: a |bar|)",
  );
});

test("without any run there are tables of nothing", () => {
  const out = join(root, "nothing");
  openFolder(settingsIn(out));
  const page = pageOf(out);
  expect(rowOf(page, "NinA MLP").slice(1, 5)).toEqual(["-", "-", "-", "-"]);
  expect(page).toContain("No command has ended yet.");
  expect(page).toContain("Nothing has been played yet.");
});

test.each([
  ["encoder", { data: { examples: 9 }, encoder: { weights: "beef" } }],
  ["data", { data: { examples: 8 }, encoder: { weights: "f00d" } }],
])("runs with another %s are not compared", async (what, config) => {
  const out = join(root, `other-${what}`);
  await runIn(out);
  const { name, folder } = runsOf(settingsIn(out))[4];
  write(join(folder, "train", "config.json"), JSON.stringify(config));
  expect(() => pageOf(out)).toThrow(
    `${name}: expected the ${what} that nina-mlp-seed-0 was trained with, found another: delete one of the runs`,
  );
});

describe("damaged files are told by name", () => {
  const out = join(root, "damaged");
  const run = runsOf(settingsIn(out))[0];
  beforeAll(() => runIn(out, (words) => !words.includes(`${run.name}/`)));

  const result = resultsOf(1, 0, 1) as { tasks: object[] };
  test.each([
    ["experiments.json", "{}", "experiments.json: out: expected a text, found nothing"],
    ["decode.json", "[1", "decode.json: expected JSON, found"],
    [`${run.name}/run.json`, '{"train": 3}', "run.json: train: expected an object of command"],
    [`${run.name}/train/metrics.jsonl`, '{"kind": "tr\n{}\n', "metrics.jsonl, line 1: expected JSON"],
    [`${run.name}/train/metrics.jsonl`, "", 'metrics.jsonl: expected a line of kind "train", found none'],
    [
      `${run.name}/train/config.json`,
      '{"data": {}}',
      "train/config.json: config.encoder: expected an object of weights in range, found nothing",
    ],
    [`${run.name}/temperature-1.json`, '{"complete": tr', "temperature-1.json: expected JSON, found"],
    [
      `${run.name}/temperature-1.json`,
      JSON.stringify({ ...result, complete: false }),
      "temperature-1.json: results.complete: expected true, found false",
    ],
    [
      `${run.name}/temperature-1.json`,
      JSON.stringify({ ...result, tasks: [{ task: "push", episodes: [{ outcome: "won" }] }] }),
      'push.episodes.0.outcome: expected "success" or "failure" or "error", found "won"',
    ],
    [
      `${run.name}/temperature-1.json`,
      JSON.stringify({ ...result, tasks: [3] }),
      "task 0: expected a name and episodes, found 3",
    ],
  ])("%s: %s", (name, content, message) => {
    const file = join(out, name);
    const sound = readFileSync(file, "utf8");
    write(file, content);
    expect(() => pageOf(out)).toThrow(message);
    write(file, sound);
    expect(pageOf(out)).toContain("NinA MLP");
  });
});

test("tables are aligned, and keep bars of their cells apart from their own", () => {
  const columns = [
    { title: "a", align: "left" },
    { title: "number", align: "right" },
  ] as const;
  expect(markdownTable(columns, [["x|y", "1"]]).split("\n")).toEqual([
    "| a    | number |",
    "| ---- | -----: |",
    "| x\\|y |      1 |",
  ]);
});
