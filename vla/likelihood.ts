/** Measures what the log-probability of chunks warns of: `npx tsx vla/likelihood.ts --help`. */
import { join } from "node:path";
import { runMain, UsageError } from "../cli/index.ts";
import { engineInfo, makeFolder, writeFileAtomic } from "../core/index.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Journal, type Kept } from "./eval/journal.ts";
import { Progress } from "./eval/progress.ts";
import {
  type EpisodeLine,
  type EpisodeTiming,
  type Results,
  type RunInfo,
  type TaskResult,
  UNTIMED,
} from "./eval/results.ts";
import { rollout } from "./eval/rollout.ts";
import { episodeSeed } from "./eval/seed.ts";
import { Tally } from "./eval/tally.ts";
import { taskDigest } from "./eval/task-digest.ts";
import { LiberoEnv } from "./libero/env.ts";
import { readInitStates } from "./libero/init-states.ts";
import { MUJOCO_VERSION } from "./libero/mujoco.ts";
import { NINA } from "./libero/protocols.ts";
import { createRenderer } from "./libero/render/renderer.ts";
import { findTasks, loadSuite } from "./libero/suites.ts";
import { type Staging, stagingsOf } from "./likelihood/conditions.ts";
import { readOptions } from "./likelihood/options.ts";
import { signalTable } from "./likelihood/report.ts";
import { type Condition, type Heard, type Signal, signalsOf } from "./likelihood/signals.ts";
import { drawStrip } from "./likelihood/strip.ts";
import { Witness } from "./likelihood/witness.ts";
import { ninaPolicy } from "./policies/nina.ts";

/** `results.json`: as an evaluation's, each task once per condition (with its own instruction), and what is told. */
interface LikelihoodResults extends Results {
  readonly move: { readonly right: number; readonly turn: number };
  readonly maxSteps: number;
  readonly tasks: readonly (TaskResult & { readonly condition: Condition })[];
  readonly signals: readonly Signal[];
}

/** An episode in `episodes.jsonl`. */
type HeardLine = EpisodeLine & Pick<Heard, "condition" | "logDets">;
type HeardTiming = EpisodeTiming & HeardId;
type HeardId = Pick<HeardLine, "task" | "condition" | "init">;

/** What tells an episode from all others. */
function keyOf({ task, condition, init }: HeardId): string {
  return `${task} ${condition} ${init}`;
}

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { seed, move, maxSteps } = options;
  const suite = loadSuite(options.libero, options.suite);
  const tasks = options.tasks === null ? suite.tasks : findTasks(suite, options.tasks);

  // Whatever can be refused is refused before the first step.
  const source = ninaPolicy(options.checkpoint);
  if (!source.hasDensity)
    throw new UsageError(`--checkpoint: expected a policy with a density, got ${source.name}`);
  const stagings = stagingsOf(suite, tasks, options, move);
  const starts = stagings.map(({ task, scene, told }) => {
    const states = readInitStates(task.initPath, scene.layout);
    const last = options.first + options.episodes - 1;
    if (last >= states.length)
      throw new UsageError(
        `--first and --episodes: expected initial states 0 to ${states.length - 1} of ${task.name}, got ${last}`,
      );
    return Array.from({ length: options.episodes }, (_, i) => {
      const init = options.first + i;
      const { instruction } = told(init);
      const key = {
        suite: suite.name,
        task: task.name,
        told: told(init).name,
        instruction,
        init,
        seed,
      };
      const contacts = "mujoco-2.3" as const;
      const policy = source.forEpisode({ ...key, protocol: NINA, contacts, mujoco: MUJOCO_VERSION });
      // The same numbers under every condition: what differs is what was changed.
      const policySeed = episodeSeed(seed, suite.name, task.name, init);
      return {
        policy,
        start: { init, state: states[init], seed, policySeed, instruction },
      };
    });
  });
  const cameraSize = source.cameraSize ?? NINA.cameraSize;
  const run: RunInfo = {
    suite: suite.name,
    policy: source.name,
    untrained: source.untrained,
    seed,
    protocol: NINA.name,
    overlap: NINA.overlap,
    swapWords: false,
    cameraSize,
    sampling: source.sampling,
    engine: {
      node: process.versions.node,
      mujoco: MUJOCO_VERSION,
      contacts: "mujoco-2.3",
      fma: engineInfo().fma,
    },
  };
  const manifest = {
    run,
    policyDigest: source.digest,
    move,
    maxSteps,
    first: options.first,
    episodes: options.episodes,
    stagings: stagings.map(({ task, condition, scene }) => [task.name, condition, taskDigest(task, scene)]),
  };
  using journal = Journal.open<HeardLine, HeardTiming>(
    { out: options.out, json: join(options.out, "results.json"), frames: false },
    manifest,
  );
  journal.begin();
  if (options.strips) makeFolder(join(options.out, "strips"));
  const kept = new Map(journal.kept.map((line) => [keyOf(line), line]));
  const timings = new Map(journal.timings.map((line) => [keyOf(line), line]));
  const planned = stagings.length * options.episodes;
  const tally = new Tally(planned);
  const heard: Heard[] = [];
  const results = (): LikelihoodResults => {
    const signals = signalsOf(heard);
    const rows = tally.tasks.map((row, i) => ({
      ...row,
      task: stagings[i].task.name,
      condition: stagings[i].condition,
    }));
    return { ...run, move, maxSteps, complete: tally.complete, tasks: rows, signals };
  };
  const progress = new Progress(planned);
  using interrupt = new Interrupt();

  const play = async ({ task, condition, scene }: Staging, i: number): Promise<void> => {
    const add = tally.open(`${task.name} (${condition})`, task.instruction);
    const keep = (line: Kept<HeardLine>, timing: EpisodeTiming): void => {
      const { init, policySeed, outcome, error, steps, trajectoryHash, policyCalls, logProbs, logDets } =
        line;
      const episode = { init, policySeed, outcome, error, steps, trajectoryHash, policyCalls, logProbs };
      add({ ...episode, ...timing });
      heard.push({ condition, outcome, logProbs: logProbs ?? [], logDets });
    };
    const left = starts[i].filter(({ start: { init } }) => {
      const id = { task: task.name, condition, init };
      const line = kept.get(keyOf(id));
      if (line) {
        keep(line, timings.get(keyOf(id)) ?? UNTIMED);
        progress.episodeDone();
      }
      return !line;
    });
    if (left.length === 0) return;
    using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: cameraSize });
    for (const { policy, start } of left) {
      const witness = new Witness(policy);
      const id = { task: task.name, condition, init: start.init };
      const played = await rollout(env, witness, start, NINA, maxSteps, {
        interrupted: () => interrupt.requested,
        stepped: (steps) => progress.step(keyOf(id), steps / maxSteps),
        logProb: true,
      });
      if (played === null) break;
      const { episode, timing, actions } = played;
      progress.episodeDone();
      if (options.strips && witness.moments.length > 0) {
        const name = `${task.name}_${condition.replace(" ", "_")}_init_${String(start.init).padStart(2, "0")}`;
        const strip = drawStrip(witness.moments, `${name}: ${episode.outcome}`);
        writeFileAtomic(join(options.out, "strips", `${name}.png`), strip);
      }
      const logDets = witness.moments.map((moment) => moment.logDet);
      const { instruction } = start;
      const line: HeardLine = { ...run, ...id, instruction, ...episode, logDets, actions };
      keep(line, timing);
      journal.keep(line, { ...id, ...timing }, results());
    }
  };

  try {
    journal.save(results());
    for (const [i, each] of stagings.entries()) {
      if (interrupt.requested) break;
      await play(each, i);
    }
  } finally {
    progress.clear();
    console.log(tally.report(run));
    const absent = tasks.filter(
      (task) => !stagings.some((one) => one.task === task && one.condition === "words"),
    );
    if (absent.length > 0)
      console.log(`No other instruction in the scene of ${absent.map(({ name }) => name).join(", ")}.`);
    console.log(`\n${signalTable(signalsOf(heard))}`);
  }
  process.exitCode = tally.complete ? Number(tally.errors > 0) : INTERRUPTED;
});
