/**
 * Plays a suite with its scripted expert and prints how often it succeeds, and how it failed where it did.
 *
 *   npx tsx vla/experts/run.ts
 *   npx tsx vla/experts/run.ts --suite libero_spatial --tasks 0,4 --episodes 10
 *   npx tsx vla/experts/run.ts --episodes 1 --record test/fixtures/mini
 *
 * With --record, the first successful episode of each task goes to FOLDER/TASK.json, for `--policy replay`.
 */
import { join } from "node:path";
import { type CliSchema, parseCli, runMain } from "../../cli/index.ts";
import { makeFolder, writeFileAtomic } from "../../core/index.ts";
import { CLONE_OPTIONS, findRoots, readTasks, SUITE_OPTIONS } from "../eval/options.ts";
import { type Column, renderTable } from "../eval/table.ts";
import { rateOf } from "../eval/wilson.ts";
import { composeScene, type TaskFiles } from "../libero/compose/scene.ts";
import { LiberoEnv } from "../libero/env.ts";
import { EnvError } from "../libero/env-error.ts";
import { readInitStates } from "../libero/init-states.ts";
import { findTasks, loadSuite } from "../libero/suites.ts";
import { type Demonstration, demonstrate } from "./demonstrate.ts";
import { createExpert } from "./index.ts";

const MAX_STEPS = 300;

const cli = {
  usage: "npx tsx vla/experts/run.ts [options]",
  description:
    "Plays the tasks of a suite with their scripted expert, without pictures, and prints how often it succeeds: of the\n" +
    "embedded suite, or of a LIBERO clone's libero_spatial, libero_object and libero_goal.",
  options: {
    ...SUITE_OPTIONS,
    episodes: { type: "integer", least: 1, default: 50, help: "episodes per task, one per initial state" },
    seed: {
      type: "integer",
      least: 0,
      default: 0,
      help: "places the fixtures; the expert of episode i gets seed + i",
    },
    record: { type: "string", help: "folder for the first successful episode of each task" },
    ...CLONE_OPTIONS,
  },
} as const satisfies CliSchema;

const COLUMNS: readonly Column[] = [
  { title: "task", align: "left" },
  { title: "episodes", align: "right" },
  { title: "successes", align: "right" },
  { title: "rate [95 %]", align: "right" },
  { title: "mean steps", align: "right" },
  { title: "most", align: "right" },
  { title: "ms/step", align: "right" },
];

/** What came of one task. */
interface Played {
  readonly name: string;
  /** Why the expert has no skill for it; then there are no episodes. */
  readonly unserved?: string;
  readonly episodes: readonly Demonstration[];
  readonly msPerStep: number;
}

await runMain(async () => {
  const given = parseCli(cli, process.argv.slice(2));
  const roots = findRoots(given, process.env);
  const suite = loadSuite(roots.libero, given.suite);
  const chosen = given.tasks === undefined ? suite.tasks : findTasks(suite, readTasks(given.tasks));
  const played: Played[] = [];
  for (const task of chosen) {
    played.push(await playTask({ ...roots, task }, given));
    // A task takes minutes: what is known is said at once.
    for (const line of failures(played.at(-1) as Played)) console.log(line);
  }
  console.log(renderTable(COLUMNS, played.map(row)));
});

/** Plays the initial states of one task. */
async function playTask(
  from: TaskFiles,
  { suite, episodes, seed, record }: { suite: string; episodes: number; seed: number; record?: string },
): Promise<Played> {
  const { name, initPath } = from.task;
  const scene = composeScene(from);
  using env = await LiberoEnv.open(scene);
  const unserved = lackOf(env, name);
  if (unserved !== null) return { name, unserved, episodes: [], msPerStep: 0 };
  const states = readInitStates(initPath, scene.layout).slice(0, episodes);
  const played = states.map((state, init) =>
    demonstrate(env, { task: name, state, seed, expertSeed: seed + init }, MAX_STEPS),
  );
  const init = played.findIndex(({ success }) => success);
  if (record !== undefined && init >= 0) {
    makeFolder(record);
    const recording = { suite, task: name, init, seed, actions: played[init].actions };
    writeFileAtomic(join(record, `${name}.json`), `${JSON.stringify(recording)}\n`);
  }
  const { simulate, steps } = env.times;
  return { name, episodes: played, msPerStep: simulate / steps };
}

/** What the expert has no skill for; null if it can play the task. */
function lackOf(env: LiberoEnv, task: string): string | null {
  try {
    createExpert(env, task, 0);
    return null;
  } catch (error) {
    if (error instanceof EnvError) return error.message;
    throw error;
  }
}

function failures({ name, unserved, episodes }: Played): string[] {
  if (unserved !== undefined) return [`${name}: not played: ${unserved}`];
  return episodes.flatMap(({ success, account }, init) =>
    success ? [] : [`${name}: initial state ${init} failed: ${account}`],
  );
}

function row({ name, episodes, msPerStep }: Played): string[] {
  const lengths = episodes.filter(({ success }) => success).map(({ actions }) => actions.length);
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  return [
    name,
    `${episodes.length}`,
    `${lengths.length}`,
    rateOf(lengths.length, episodes.length),
    lengths.length === 0 ? "-" : mean.toFixed(0),
    lengths.length === 0 ? "-" : `${Math.max(...lengths)}`,
    lengths.length === 0 ? "-" : msPerStep.toFixed(2),
  ];
}
