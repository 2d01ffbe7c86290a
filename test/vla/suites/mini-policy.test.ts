/**
 * The policy that is part of this project: what it does is recorded in fixtures, which `npx vitest run -u` records
 * again.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { engineInfo } from "../../../core/index.ts";
import { checkpointDigest } from "../../../vla/checkpoint.ts";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import type { Results } from "../../../vla/eval/results.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-mini-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TASKS = ["DRAWER_SCENE3_push_the_drawer_shut", "PLATES_SCENE4_put_the_block_on_the_left_plate"];

const json = join(folder, "results.json");
const results = (): Results => JSON.parse(readFileSync(json, "utf8"));
let ended: { readonly status: number | null; readonly stdout: string };

beforeAll(() => {
  ended = spawnSync(
    process.execPath,
    ["--import", "tsx", "vla/eval.ts", "--tasks", TASKS.join(","), "--episodes", "1", "--json", json],
    { encoding: "utf8" },
  );
}, 240_000);

test("the embedded policy is trained, and does what it is told", () => {
  expect(ended.status).toBe(0);
  expect(ended.stdout).not.toContain("UNTRAINED");
  expect(results().untrained).toBe(false);
  const outcomes = results().tasks.map(({ task, episodes: [{ outcome }] }) => [task, outcome]);
  expect(outcomes).toEqual(TASKS.map((task) => [task, "success"]));
});

// Another rounding of products, or another order of sums, and the arm soon takes another way.
test.skipIf(process.arch !== "x64" || !engineInfo().fma)(
  "its episodes take the recorded way (recorded on x64 with fused multiply-add)",
  async () => {
    const { engine, tasks } = results();
    const record = {
      checkpoint: checkpointDigest(EMBEDDED.checkpoint),
      mujoco: engine.mujoco,
      episodes: tasks.map(({ task, episodes: [{ init, policySeed, steps, trajectoryHash }] }) => ({
        task,
        init,
        policySeed,
        steps,
        trajectoryHash,
      })),
    };
    const file = "../../fixtures/mini-policy.json";
    await expect(`${JSON.stringify(record, null, 2)}\n`).toMatchFileSnapshot(file);
  },
);
