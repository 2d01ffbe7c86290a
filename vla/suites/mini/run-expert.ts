/**
 * Plays the embedded suite with the scripted expert and prints how often it succeeds.
 *
 *   npx tsx vla/suites/mini/run-expert.ts
 *   npx tsx vla/suites/mini/run-expert.ts --episodes 1 --record test/fixtures/mini
 *
 * With --record, the first successful episode of each task goes to FOLDER/TASK.json, for `--policy replay`.
 */
import { join } from "node:path";
import { type CliSchema, parseCli, runMain } from "../../../cli/index.ts";
import { makeFolder, writeFileAtomic } from "../../../core/index.ts";
import { composeScene } from "../../libero/compose/scene.ts";
import { LiberoEnv } from "../../libero/env.ts";
import { readInitStates } from "../../libero/init-states.ts";
import { loadSuite, type Task } from "../../libero/suites.ts";
import { demonstrate } from "./demonstrate.ts";
import { MINI, miniRoots } from "./roots.ts";

const MAX_STEPS = 300;

const cli = {
  usage: "npx tsx vla/suites/mini/run-expert.ts [options]",
  description: "Plays the tasks of the embedded suite with the scripted expert.",
  options: {
    episodes: { type: "integer", least: 1, default: 50, help: "episodes per task, one per initial state" },
    seed: {
      type: "integer",
      least: 0,
      default: 0,
      help: "places the fixtures; the expert of episode i gets seed + i",
    },
    record: { type: "string", help: "folder for the first successful episode of each task" },
  },
} as const satisfies CliSchema;

async function main(): Promise<void> {
  const { episodes, seed, record } = parseCli(cli, process.argv.slice(2));
  for (const task of loadSuite(miniRoots.libero, MINI).tasks) await tryTask(task, episodes, seed, record);
}

/** Plays the initial states of one task and prints how it went. */
async function tryTask(
  task: Task,
  episodes: number,
  seed: number,
  record: string | undefined,
): Promise<void> {
  const scene = composeScene({ ...miniRoots, task });
  using env = await LiberoEnv.open(scene);
  const lengths: number[] = [];
  const states = readInitStates(task.initPath, scene.layout).slice(0, episodes);
  for (const [init, state] of states.entries()) {
    const start = { task: task.name, state, seed, expertSeed: seed + init };
    const { success, actions } = demonstrate(env, start, MAX_STEPS);
    if (!success) {
      console.log(`${task.name}: initial state ${init} failed`);
      continue;
    }
    if (record !== undefined && lengths.length === 0) {
      makeFolder(record);
      const recording = { suite: MINI, task: task.name, init, seed, actions };
      writeFileAtomic(join(record, `${task.name}.json`), `${JSON.stringify(recording)}\n`);
    }
    lengths.push(actions.length);
  }
  const { simulate, steps } = env.times;
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const spread =
    lengths.length === 0 ? "" : `, ${mean.toFixed(0)} steps on average, ${Math.max(...lengths)} at most`;
  console.log(
    `${task.name}: ${lengths.length} of ${states.length}${spread}; ${(simulate / steps).toFixed(2)} ms per step`,
  );
}

await runMain(main);
