/** Plays the recorded episodes of a run again: `npx tsx vla/verify.ts --help`. */
import { join } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { printable } from "../core/index.ts";
import { Crew } from "./eval/crew.ts";
import { describeRun } from "./eval/describe-run.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { NAMES } from "./eval/journal.ts";
import { manifestOf } from "./eval/manifest.ts";
import { CLONE_OPTIONS, type Options, readOptions } from "./eval/options.ts";
import { keyOf, labelOf, settingOf } from "./eval/prepare.ts";
import { Progress } from "./eval/progress.ts";
import type { Job } from "./eval/schedule.ts";
import { episodeKey, setUpRun } from "./eval/setup.ts";
import { findTasks, loadSuite } from "./libero/suites.ts";
import { replayPolicy } from "./policies/replay.ts";
import { differingCircumstances } from "./receipts/circumstances.ts";
import { drawKeys, judge, type Replayed, replayReport } from "./receipts/replayed.ts";
import { type RunFolder, readRunFolder } from "./report/run-folder.ts";

const schema = {
  usage: "npx tsx vla/verify.ts RUN [options]",
  description:
    "Plays the recorded actions of a run again, and compares what becomes of each episode: its outcome, its steps, and the\n" +
    "hash of its trajectory. Where they differ, it says which circumstances do as well: engine, task files, protocol,\n" +
    "version. Episodes that ended in an error are left out.\n" +
    "Exit code: 0 when all are equal, 1 when one differs or cannot be played, 2 for arguments it does not understand,\n" +
    `${INTERRUPTED} after Ctrl-C.`,
  positionals: { RUN: "folder of a run of vla/eval.ts --out, finished or not" },
  options: {
    sample: {
      type: "integer",
      least: 1,
      help: "plays so many episodes, drawn at random; otherwise all of them",
    },
    seed: { type: "integer", least: 0, default: 0, help: "of the draw" },
    workers: {
      type: "integer",
      least: 1,
      help: "episodes that are played at the same time; otherwise as many as there are cores",
    },
    json: { type: "boolean", help: "prints what was found as JSON, and no table" },
    ...CLONE_OPTIONS,
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { positionals, ...args } = parseCli(schema, process.argv.slice(2));
  const recorded = readRunFolder(positionals.RUN);
  const sound = new Map(
    recorded.episodes.flatMap((each) => (each.outcome === "error" ? [] : [[episodeKey(each), each]])),
  );
  const keys = [...sound.keys()];
  const errors = recorded.episodes.length - keys.length;
  if (keys.length === 0)
    throw new Error(
      `${positionals.RUN}: expected episodes to play again, found none that did not end in an error`,
    );
  const drawn = new Set(drawKeys(keys, args.sample ?? keys.length, args.seed));

  const options = optionsHere(recorded, args);
  const suite = loadSuite(options.libero, options.suite);
  const names = new Set([...drawn].map((key) => sound.get(key)!.task));
  const tasks = findTasks(suite, [...names]);
  const policies = replayPolicy(join(recorded.folder, NAMES.episodes));
  const whole = setUpRun(options, suite, tasks);
  const here = manifestOf(describeRun(options, policies), options, policies, whole);
  const circumstances = differingCircumstances(recorded.manifest, here);
  const setups = whole
    .map((setup) => ({
      ...setup,
      episodes: setup.episodes.filter(({ init }) => drawn.has(episodeKey({ ...setup, init }))),
    }))
    .filter(({ episodes }) => episodes.length > 0);

  const replayed = new Map<string, Replayed>();
  const progress = new Progress(drawn.size);
  using interrupt = new Interrupt("telling what was found so far");
  using crew = new Crew(settingOf(options, here.run.cameraSize), Math.min(options.workers, drawn.size));
  interrupt.signal.addEventListener("abort", () => crew.interrupt());
  const { mujoco } = recorded.manifest.run.engine;
  try {
    const starts = await crew.check(setups, ({ task }) => progress.note(`checking task ${task}`));
    await crew.play(setups, starts, {
      // Recorded by another MuJoCo they are played all the same: whether it matters is the question.
      policyFor: (job) => policies.forEpisode({ ...keyOf(job, options), mujoco }),
      stepped: (job, steps) => progress.step(labelOf(job), steps / options.maxSteps, labelOf(job)),
      finished(job, ended) {
        progress.episodeDone(labelOf(job));
        replayed.set(keyOfJob(job), judge(sound.get(keyOfJob(job))!, ended));
      },
    });
  } catch (cause) {
    const why =
      circumstances.length > 0
        ? `; circumstances that differ, as recorded and here: ${circumstances.join("; ")}`
        : "";
    throw new Error(`${(cause as Error).message}${why}`, { cause });
  } finally {
    progress.clear();
  }

  const episodes = [...drawn].flatMap((key) => replayed.get(key) ?? []);
  if (args.json) console.log(JSON.stringify({ run: recorded.folder, errors, circumstances, episodes }));
  else console.log(report(episodes, drawn.size, recorded, errors, circumstances));
  const isEqual = episodes.every(({ verdict }) => verdict === "equal");
  process.exitCode = episodes.length < drawn.size ? INTERRUPTED : Number(!isEqual);
});

function keyOfJob({ setup, episode }: Job): string {
  return episodeKey({ ...setup, ...episode });
}

/** How this machine and this version play the run. */
function optionsHere(
  { manifest, folder }: RunFolder,
  { libero, robosuite, workers }: { libero?: string; robosuite?: string; workers?: number },
): Options {
  const { run, first, episodes, protocol } = manifest;
  const given = {
    suite: run.suite,
    seed: run.seed,
    protocol: protocol.name,
    contacts: run.engine.contacts,
    perturb: run.perturb,
    robustness: run.robustness,
    first,
    episodes,
    libero,
    robosuite,
    workers,
  };
  const words = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
  const swap = run.swapWords ? ["--swap-words"] : [];
  const argv = [...words, ...swap, "--policy", "replay", join(folder, NAMES.episodes)];
  try {
    return readOptions(argv, process.env);
  } catch (error) {
    // The mistake is the manifest's, but for clones that were not named.
    if (error instanceof UsageError && !error.message.includes("--libero"))
      throw new Error(`${folder}: cannot be played by this version: ${error.message}`);
    throw error;
  }
}

function report(
  episodes: readonly Replayed[],
  planned: number,
  { episodes: all }: RunFolder,
  errors: number,
  circumstances: readonly string[],
): string {
  const left = errors > 0 ? `; ${errors} that ended in an error left out` : "";
  const lines = [
    replayReport(episodes),
    "",
    `${episodes.length} of ${all.length} recorded episodes were played again${left}.`,
  ];
  if (episodes.length < planned) lines.push(`Broken off before ${planned - episodes.length} more.`);
  const isEqual = episodes.every(({ verdict }) => verdict === "equal");
  if (circumstances.length > 0)
    lines.push(
      `Circumstances that differ, as recorded and here${isEqual ? ", to no effect" : ""}:`,
      ...circumstances,
    );
  else if (episodes.some(({ verdict }) => verdict === "different"))
    lines.push("No circumstance differs: engine, task files, protocol and version are those of the record.");
  return lines
    .map((line) =>
      line
        .split("\n")
        .map((part) => printable(part, 1000))
        .join("\n"),
    )
    .join("\n");
}
