/** The script as its users run it, on a run that is made here. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Ledger } from "../../../vla/eval/ledger.ts";
import { readOptions } from "../../../vla/eval/options.ts";
import { Player } from "../../../vla/eval/player.ts";
import { prepareRun, settingOf } from "../../../vla/eval/prepare.ts";
import type { Policy } from "../../../vla/policies/policy.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "nina-verify-"));
afterAll(() => rmSync(folder, { recursive: true }));
const out = join(folder, "run");
/** Whole episodes on a busy machine. */
const EPISODES = { timeout: 240_000 };
const task = "DRAWER_SCENE3_push_the_drawer_shut";

/** All its actions at once: one picture per episode is enough here. Of the third episode it knows none. */
function policyFor(init: number): Policy {
  const actions = Array.from({ length: 300 }, (_, i) => [0, 0, 0.2 * Math.sin(i / 20), 0, 0, 0, -1]);
  const act = () => {
    if (init === 2) throw new Error("unknown");
    return { actions };
  };
  return { name: "waving", reset() {}, act };
}

beforeAll(async () => {
  const argv = ["--policy", "zero", "--tasks", task, "--episodes", "3", "--out", out];
  const options = readOptions(argv, {});
  const { setups, manifest } = await prepareRun(options);
  using ledger = Ledger.open(options, manifest, setups);
  ledger.begin();
  // As one query, which does not change what the actions lead to.
  const setting = settingOf(options, manifest.run.cameraSize);
  const protocol = { ...setting.protocol, actionsPerQuery: null };
  using player = new Player({ ...setting, protocol });
  const [setup] = setups;
  const checked = await player.check(setup);
  const watcher = { interrupted: () => false, stepped() {} };
  for (const [i, episode] of setup.episodes.entries()) {
    const played = await player.play(setup, episode, checked[i], policyFor(i), watcher);
    ledger.finished({ setup, episode }, played!);
  }
}, EPISODES.timeout);

function verify(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", "vla/verify.ts", ...args], { cwd: ROOT });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part) => (stdout += part));
  child.stderr.on("data", (part) => (stderr += part));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

test("a drawn episode of a sound run is equal", EPISODES, async () => {
  const { code, stdout, stderr } = await verify(out, "--sample", "1", "--workers", "1");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(new RegExp(`^${task} +1 +1 +0 +0$`, "m"));
  expect(stdout).toContain("1 of 3 recorded episodes were played again; 1 that ended in an error left out.");
});

test("one that is not as recorded is told, with the circumstance that is not", EPISODES, async () => {
  const forged = join(folder, "forged");
  cpSync(out, forged, { recursive: true });
  const edit = (name: string, change: (text: string) => string): void =>
    writeFileSync(join(forged, name), change(readFileSync(join(forged, name), "utf8")));
  edit("episodes.jsonl", (text) =>
    text
      .split("\n")
      .map((line) => (line.includes('"init":1,') ? line.replace(/("trajectoryHash":")./, "$1x") : line))
      .join("\n"),
  );
  edit("manifest.json", (text) => text.replace(`"node": "${process.versions.node}"`, '"node": "1.2.3"'));

  const { code, stdout } = await verify(forged, "--json");
  expect(code).toBe(1);
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({
    errors: 1,
    circumstances: [`engine.node: "1.2.3", and "${process.versions.node}"`],
    episodes: [
      { task, init: 0, verdict: "equal" },
      { task, init: 1, verdict: "different" },
    ],
  });
  const { recorded, played } = found.episodes[1];
  expect(played.trajectoryHash.slice(1)).toBe(recorded.trajectoryHash.slice(1));
});
