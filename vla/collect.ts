/** Records scripted experts as demonstrations: `npx tsx vla/collect.ts --help`. */
import { availableParallelism } from "node:os";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { readText } from "../core/index.ts";
import { checkpointConfig, checkpointDigest } from "./checkpoint.ts";
import { Crew } from "./collect/crew.ts";
import { demonstrationHeader } from "./collect/header.ts";
import { Schedule } from "./collect/schedule.ts";
import { type CollectSettings, CollectStore } from "./collect/store.ts";
import { LiberoDemonstrations } from "./data/libero-hdf5.ts";
import { type RecordedEpisode, writeLiberoDemonstrations } from "./data/libero-hdf5-writer.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { CLONE_OPTIONS, findRoots, readTasks, SUITE_OPTIONS } from "./eval/options.ts";
import { Progress } from "./eval/progress.ts";
import { groupByScene } from "./libero/scene-mates.ts";
import { findTasks, loadSuite, type Task } from "./libero/suites.ts";

const schema = {
  usage: "npx tsx vla/collect.ts --out DIR [options]",
  description:
    "Records the scripted expert of a suite, one LIBERO demonstration file per task. Now and then the hand is\n" +
    "pushed off its way; what is recorded is what the expert wanted. With --checkpoint a policy drives for a random while\n" +
    "first and the recording begins where it has come to. Successes only. The same command goes on where an\n" +
    "interrupted one stopped. At 64 pixels an episode of the embedded suite takes one core 1.5 seconds, and so do 100\n" +
    "random scenes.",
  options: {
    out: { type: "string", help: "folder for TASK_demo.hdf5" },
    ...SUITE_OPTIONS,
    episodes: {
      type: "integer",
      least: 1,
      default: 50,
      help: "successful episodes per task, or episodes per scene",
    },
    first: {
      type: "integer",
      least: 0,
      default: 1000,
      help: "number of the first start; 0 to 49 are those that evaluations use",
    },
    size: { type: "integer", least: 16, default: 128, help: "side of the pictures, pixels" },
    noise: { type: "number", default: 0.6, help: "spread of the pushes, action units; 0 for none" },
    seed: { type: "integer", least: 0, default: 0, help: "of the pushes, and places the fixtures" },
    checkpoint: {
      type: "string",
      help: "folder of a policy that drives before the expert takes over, for 1 to 180 steps (DAgger)",
    },
    "policy-share": {
      type: "number",
      help: "probability, 1 unless given, that 10 actions are the policy's; else the expert's",
    },
    random: {
      type: "boolean",
      help: "random scenes for vla/pretrain.ts instead: a file per scene, 100 pictures an episode",
    },
    ...CLONE_OPTIONS,
    workers: { type: "integer", least: 1, help: "processes; otherwise as many as there are cores" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  if (args.out === undefined) throw new UsageError("expected --out, the folder to write into");
  const workers = args.workers ?? availableParallelism();
  if (args.noise < 0) throw new UsageError(`--noise: expected a number from 0, got ${args.noise}`);

  const { checkpoint, "policy-share": share } = args;
  if (share !== undefined && !(share > 0 && share <= 1))
    throw new UsageError(`--policy-share: expected a number above 0 and at most 1, got ${share}`);
  if (checkpoint === undefined && share !== undefined)
    throw new UsageError("--policy-share: expected --checkpoint, the policy it is about");
  if (checkpoint !== undefined && args.random)
    throw new UsageError("expected either --checkpoint or --random, got both");
  if (checkpoint !== undefined) {
    const { cameraSize } = checkpointConfig(checkpoint).perception;
    if (cameraSize !== null && cameraSize !== args.size)
      throw new UsageError(
        `--size: expected ${cameraSize}, the pictures that ${checkpoint} was trained on, got ${args.size}`,
      );
  }

  const settings: CollectSettings = {
    suite: args.suite,
    episodes: args.episodes,
    first: args.first,
    imageSize: args.size,
    noise: args.noise,
    seed: args.seed,
    random: args.random,
    ...(checkpoint !== undefined && {
      policy: { checkpoint: checkpointDigest(checkpoint), share: share ?? 1 },
    }),
  };
  const roots = findRoots(args, process.env);
  const suite = loadSuite(roots.libero, args.suite);
  const chosen = args.tasks === undefined ? suite.tasks : findTasks(suite, readTasks(args.tasks));
  const tasks = args.random ? groupByScene(roots, chosen).map(([{ task }]) => task) : chosen;
  const store = CollectStore.open(args.out, settings);
  const progress = new Progress(tasks.length * args.episodes);
  using interrupt = new Interrupt();
  using crew = new Crew(workers, store.folder, settings, roots, checkpoint);
  // A policy that is good already leaves the expert nothing to do at most starts.
  const most = (checkpoint === undefined ? 2 : 6) * args.episodes + 10;

  for (const task of tasks) {
    if (interrupt.requested) break;
    if (!store.isDone(task.name)) {
      const schedule = new Schedule(args.episodes, args.first, most, store.played(task.name));
      await crew.play(task.name, schedule, {
        interrupted: () => interrupt.requested,
        succeeded: () => progress.episodeDone(),
        working: () => progress.step(task.name, 0.5),
      });
      if (interrupt.requested) break;
      progress.clear();
      const unrecorded = (["failed", "solved"] as const).map((why) => store.unrecorded(task.name, why));
      await gather(task, roots.libero, store, schedule, settings);
      console.log(`${task.name}: ${await summary(store.demonstrations(task.name))}`);
      const [failed, solved] = unrecorded;
      const alone = checkpoint === undefined ? "" : `, in ${solved} the policy was there before the expert`;
      console.log(`  of ${schedule.counts.played} starts ${failed} failed${alone}`);
    } else console.log(`${task.name}: ${await summary(store.demonstrations(task.name))}`);
  }
  progress.clear();
  if (interrupt.requested) process.exitCode = INTERRUPTED;
});

async function summary(path: string): Promise<string> {
  using file = await LiberoDemonstrations.open(path);
  const steps = file.episodes.reduce((sum, { length }) => sum + length, 0);
  return `${file.episodes.length} episodes, ${steps} steps in ${file.name}`;
}

/** Joins the parts of a task into its file. */
async function gather(
  task: Task,
  root: string,
  store: CollectStore,
  schedule: Schedule,
  { episodes, imageSize }: CollectSettings,
): Promise<void> {
  const kept = schedule.kept();
  if (!kept) {
    const { played, successes } = schedule.counts;
    throw new Error(
      `collect: ${task.name}: expected ${episodes} successes, found ${successes} in ${played} starts`,
    );
  }
  const files: LiberoDemonstrations[] = [];
  try {
    for (const start of kept) files.push(await LiberoDemonstrations.open(store.part(task.name, start)));
    const header = demonstrationHeader(task, root, readText(task.bddlPath, 2 ** 20), imageSize);
    await writeLiberoDemonstrations(store.demonstrations(task.name), header, read(files));
  } finally {
    for (const file of files) file[Symbol.dispose]();
  }
  store.dropParts(task.name);
}

function* read(files: readonly LiberoDemonstrations[]): Iterable<RecordedEpisode> {
  for (const { episodes } of files) {
    const [episode] = episodes;
    const steps = Array.from({ length: episode.length }, (_, t) => t);
    yield {
      mjcf: episode.model,
      actions: steps.map((t) => episode.actions(t, t + 1)),
      states: steps.map((t) => episode.states(t, t + 1)),
      observations: steps.map((t) => episode.observation(t)),
    };
  }
}
