import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import type { Manifest } from "../../../vla/eval/manifest.ts";
import type { Outcome } from "../../../vla/eval/results.ts";
import { pairsOf } from "../../../vla/receipts/paired-difference.ts";
import { incomparable, pairUp } from "../../../vla/receipts/pairing.ts";
import type { ReportedEpisode, RunFolder } from "../../../vla/report/run-folder.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "nina-compare-"));
afterAll(() => rmSync(folder, { recursive: true }));

const manifest = {
  format: 1,
  version: "0.1.0",
  run: {
    suite: "mini",
    policy: "nina",
    protocol: "nina",
    seed: 0,
    cameraSize: 224,
    swapWords: false,
    engine: { node: "20.19.0", mujoco: "3.14.0", contacts: "native", fma: true },
  },
  policyDigest: "abc",
  protocol: { name: "nina", overlap: 0, actionsPerQuery: 10 },
  maxSteps: 300,
  logProb: false,
  first: 2,
  episodes: 4,
  tasks: [
    { task: "push", instruction: "push", digest: "d0" },
    { task: "pull", instruction: "pull", digest: "d1" },
  ],
} as unknown as Manifest;

const ENDED = { instruction: "", steps: 1, trajectoryHash: "", policyCalls: 1 };
const STARTS = manifest.tasks.flatMap(({ task }) => [2, 3, 4, 5].map((init) => ({ task, init })));

/** A run of these outcomes, in order; null for one that is not there. */
function runOf(outcomes: readonly (Outcome | null)[]): RunFolder {
  const episodes = STARTS.flatMap((start, i) =>
    outcomes[i] === null ? [] : [{ ...start, outcome: outcomes[i] } as ReportedEpisode],
  );
  return { folder: "run", manifest, episodes };
}

const outcomes = fc.array(fc.constantFrom("success", "failure", "error", null), {
  minLength: 8,
  maxLength: 8,
});

describe("pairUp", () => {
  test.prop([outcomes, outcomes])("every start is a pair or dropped, and every pair in one cell", (a, b) => {
    const { all, tasks, dropped } = pairUp(runOf(a), runOf(b));
    const isPair = (i: number) => [a[i], b[i]].every((each) => each === "success" || each === "failure");
    expect(pairsOf(all)).toBe(STARTS.filter((_, i) => isPair(i)).length);
    expect(tasks.reduce((sum, { counts }) => sum + pairsOf(counts), 0)).toBe(pairsOf(all));
    expect(Object.values(dropped).reduce((sum, n) => sum + n, 0)).toBe(STARTS.length - pairsOf(all));
    expect(all.both).toBe(
      STARTS.filter((_, i) => isPair(i) && a[i] === "success" && b[i] === "success").length,
    );
    expect(all.onlyA).toBe(
      STARTS.filter((_, i) => isPair(i) && a[i] === "success" && b[i] === "failure").length,
    );
  });

  test.prop([outcomes, outcomes])("changes places with its runs", (a, b) => {
    const [one, other] = [pairUp(runOf(a), runOf(b)).all, pairUp(runOf(b), runOf(a)).all];
    expect(other).toEqual({ ...one, onlyA: one.onlyB, onlyB: one.onlyA });
  });

  test("says what keeps a start from being a pair", () => {
    const a = runOf(["success", "error", null, null, "success", "success", "success", "success"]);
    const b = runOf(["failure", "success", "error", null, "success", "success", "success", "success"]);
    expect(pairUp(a, b).dropped).toEqual({
      "an error in A": 1,
      "not played in A and an error in B": 1,
      "not played in A and not played in B": 1,
    });
  });
});

describe("incomparable", () => {
  test("policies may differ, and what computes them", () => {
    const run = { ...manifest.run, policy: "zero", cameraSize: 7, sampling: undefined };
    const engine = { ...manifest.run.engine, node: "24.0.0", fma: false };
    const other = { ...manifest, policyDigest: null, version: "9", run: { ...run, engine } } as Manifest;
    expect(incomparable(manifest, other)).toEqual([]);
  });

  const { run } = manifest;
  test.each<[string, Partial<Manifest>]>([
    ["suite", { run: { ...run, suite: "libero_10" } }],
    ["seed", { run: { ...run, seed: 1 } }],
    ["protocol.name", { protocol: { ...manifest.protocol, name: "libero" } as Manifest["protocol"] }],
    ["maxSteps", { maxSteps: 301 }],
    ["contacts", { run: { ...run, engine: { ...run.engine, contacts: "mujoco-2.3" } } }],
    ["mujoco", { run: { ...run, engine: { ...run.engine, mujoco: "3.3.8" } } }],
    ["first", { first: 3 }],
    ["tasks.push", { tasks: [{ ...manifest.tasks[0], digest: "other" }, manifest.tasks[1]] }],
    ["tasks.pull", { tasks: [manifest.tasks[0]] }],
    ["perturbations.none", { tasks: manifest.tasks.map((task) => ({ ...task, perturb: "noise:1" })) }],
  ])("%s may not", (path, change) => {
    const found = incomparable(manifest, { ...manifest, ...change });
    expect(found[0]).toMatch(new RegExp(`^${path}: `));
  });
});

test("the script: a table, JSON, and a refusal", () => {
  const write = (name: string, outcomes: readonly Outcome[], seed: number): string => {
    const path = join(folder, name);
    mkdirSync(path);
    const run = { ...manifest.run, policy: name, seed };
    writeFileSync(join(path, "manifest.json"), JSON.stringify({ ...manifest, run }));
    const lines = STARTS.map((start, i) =>
      JSON.stringify({
        ...run,
        ...start,
        ...ENDED,
        outcome: outcomes[i],
        ...(outcomes[i] === "error" ? { error: "it broke" } : {}),
      }),
    );
    writeFileSync(join(path, "episodes.jsonl"), lines.map((line) => `${line}\n`).join(""));
    return path;
  };
  const [s, f, e] = ["success", "failure", "error"] as const;
  const [a, b] = [write("a", [s, s, f, f, f, f, f, e], 0), write("b", [s, f, s, s, s, s, f, s], 0)];
  const other = write("c", [s, s, s, s, s, s, s, s], 1);
  const compare = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "vla/compare.ts", ...args], {
      cwd: ROOT,
      encoding: "utf8",
    });

  const table = compare(a, b);
  expect(table.stderr).toBe("");
  expect(table.stdout).toContain("7 pairs; 1 starts left out: 1 an error in A.");
  expect(table.stdout).toMatch(/^all tasks +7 .*\+42\.9 \[[-+.\d]+, [-+.\d]+\] +1 +4 +0\.3750$/m);

  const json = compare(a, b, other, "--json", "--force");
  const found = json.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(found[0]).toMatchObject({
    differing: [],
    dropped: { "an error in A": 1 },
    all: { both: 1, onlyA: 1, onlyB: 4, neither: 1, p: 0.375 },
    tasks: [{ task: "push" }, { task: "pull", onlyB: 2 }],
  });
  expect(found[1].differing).toEqual(["seed: 0, and 1"]);

  const refused = compare(a, other);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("found another: seed: 0, and 1; --force compares all the same");
});
