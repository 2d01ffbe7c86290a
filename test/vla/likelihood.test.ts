import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "nina-likelihood-"));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...argv: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", "vla/likelihood.ts", ...argv], { encoding: "utf8" });

test("plays a start under each condition and tells what the log-probabilities say", {
  timeout: 300_000,
}, () => {
  const out = join(folder, "run");
  const argv = ["--out", out, "--tasks", "0", "--episodes", "1", "--max-steps", "12", "--strips"];
  const { status, stdout, stderr } = run(...argv);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("a low log p tells");
  expect(stdout).not.toContain("UNTRAINED"); // the embedded policy is trained

  const results = JSON.parse(readFileSync(join(out, "results.json"), "utf8"));
  const conditions = results.tasks.map(({ condition }: { condition: string }) => condition);
  expect(conditions.slice(0, 3)).toEqual(["as is", "camera", "colour"]);
  expect(results).toMatchObject({ complete: true, maxSteps: 12, move: { right: 0.03, turn: 3 } });
  const lines = readFileSync(join(out, "episodes.jsonl"), "utf8").trim().split("\n");
  const episodes = lines.map((line) => JSON.parse(line));
  expect(episodes.map(({ condition }) => condition)).toEqual(conditions);
  for (const { logProbs, logDets, policySeed } of episodes) {
    expect(logDets).toHaveLength(2);
    expect(logProbs).toHaveLength(2); // ten actions, then two of the next chunk
    expect(policySeed).toBe(episodes[0].policySeed);
  }
  expect(episodes[1].logProbs).not.toEqual(episodes[0].logProbs);
  const told = results.signals.find(
    ({ tells, by }: { tells: string; by: string }) => tells === "camera" && by === "mean",
  );
  const mean = ({ logProbs: [a, b] }: { logProbs: number[] }): number => (a + b) / 2;
  expect(told).toMatchObject({
    positives: 1,
    negatives: 1,
    auroc: Number(mean(episodes[1]) < mean(episodes[0])),
  });
  expect(readdirSync(join(out, "strips"))).toHaveLength(conditions.length);

  // The same command plays nothing twice.
  const before = readFileSync(join(out, "episodes.jsonl"), "utf8");
  expect(run(...argv)).toMatchObject({ status: 0, stderr: "" });
  expect(readFileSync(join(out, "episodes.jsonl"), "utf8")).toBe(before);
  const other = run(...argv, "--seed", "1");
  expect(other.status).toBe(1);
  expect(other.stderr).toContain("found that of another: run.seed: 0, and 1");
});
