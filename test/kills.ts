/** Kills an evaluation at random moments, again and again, and starts it anew: `npx tsx test/kills.ts --help`. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { Random } from "../core/index.ts";
import { EMBEDDED } from "../vla/eval/options.ts";
import { demonstrate } from "../vla/experts/demonstrate.ts";
import { composeScene } from "../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../vla/libero/env.ts";
import { readInitStates } from "../vla/libero/init-states.ts";
import { findTask, loadSuite } from "../vla/libero/suites.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TASKS = ["DRAWER_SCENE3_push_the_drawer_shut", "PLATES_SCENE4_put_the_block_on_the_left_plate"];
const EPISODES = 6;
const MAX_STEPS = 300;

const schema = {
  usage: "npx tsx test/kills.ts [--kills 100]",
  description:
    "Plays 12 short episodes without a disturbance, and then as often as --kills says with a kill -9 at a random moment\n" +
    "and the same command once more: every run must end with the same bytes of episodes.jsonl. Exit code: 0 if all did.",
  options: {
    kills: { type: "integer", least: 1, default: 100, help: "runs that are killed" },
    seed: { type: "integer", least: 0, default: 0, help: "chooses the moments" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { kills, seed } = parseCli(schema, process.argv.slice(2));
  const folder = mkdtempSync(join(tmpdir(), "nina-kills-"));
  try {
    const recordings = join(folder, "recordings.json");
    writeFileSync(recordings, JSON.stringify(await record()));
    const play = (out: string, killAfter?: number) => evaluate(recordings, join(folder, out), killAfter);
    const linesOf = (out: string) => readFileSync(join(folder, out, "episodes.jsonl"), "utf8");

    const begun = performance.now();
    await play("whole");
    const took = performance.now() - begun;
    const whole = linesOf("whole");
    const random = new Random(seed);
    let [same, early] = [0, 0];
    for (let i = 0; i < kills; i++) {
      const out = `run-${i}`;
      if ((await play(out, random.uniform() * took)) === "ended") early++;
      else await play(out);
      if (linesOf(out) === whole) same++;
      else process.stderr.write(`${out}: other bytes\n`);
      rmSync(join(folder, out), { recursive: true });
    }
    console.log(`${same} of ${kills} runs ended with the bytes of an undisturbed one`);
    console.log(
      `(an undisturbed one took ${(took / 1000).toFixed(1)} s; ${early} had ended before they were killed)`,
    );
    process.exitCode = Number(same < kills);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The expert's actions for every episode. */
async function record(): Promise<object[]> {
  const suite = loadSuite(EMBEDDED.libero, EMBEDDED.suite);
  const of = async (name: string): Promise<object[]> => {
    const task = findTask(suite, name);
    const states = readInitStates(task.initPath);
    using env = await LiberoEnv.open(composeScene({ ...EMBEDDED, task }));
    return Array.from({ length: EPISODES }, (_, init) => {
      const start = { task: name, state: states[init], seed: 0, expertSeed: init };
      const { actions } = demonstrate(env, start, MAX_STEPS);
      return { suite: suite.name, task: name, init, seed: 0, actions };
    });
  };
  const recordings: object[] = [];
  for (const name of TASKS) recordings.push(...(await of(name)));
  return recordings;
}

/** @param killAfter milliseconds. @returns whether it came to its end. */
function evaluate(recordings: string, out: string, killAfter?: number): Promise<"ended" | "killed"> {
  const args = [
    "--import",
    "tsx",
    "vla/eval.ts",
    "--policy",
    "replay",
    recordings,
    "--tasks",
    TASKS.join(","),
  ];
  const child = spawn(process.execPath, [...args, "--episodes", String(EPISODES), "--out", out], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let told = "";
  child.stderr.on("data", (part) => (told += part));
  const timer = killAfter === undefined ? null : setTimeout(() => child.kill("SIGKILL"), killAfter);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (timer) clearTimeout(timer);
      if (signal === "SIGKILL") resolve("killed");
      else if (code === 0) resolve("ended");
      else reject(new Error(`vla/eval.ts ended with ${code}: ${told}`));
    });
  });
}
