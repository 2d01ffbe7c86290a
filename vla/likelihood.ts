/** Measures what the log-probability of plans warns of: `npx tsx vla/likelihood.ts --help`. */
import { join } from "node:path";
import { runMain, UsageError } from "../cli/index.ts";
import { engineInfo, makeFolder, writeFileAtomic } from "../core/index.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Journal } from "./eval/journal.ts";
import { Progress } from "./eval/progress.ts";
import type { EpisodeLine, Results, RunInfo, TaskResult } from "./eval/results.ts";
import { rollout } from "./eval/rollout.ts";
import { episodeSeed } from "./eval/seed.ts";
import { Tally } from "./eval/tally.ts";
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
      throw new UsageError(`${task.name} has ${states.length} initial states, no number ${last}`);
    return Array.from({ length: options.episodes }, (_, i) => {
      const init = options.first + i;
      const { instruction } = told(init);
      const key = {
        ...{ suite: suite.name, task: task.name, told: told(init).name, instruction },
        ...{ init, seed },
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
  using journal = Journal.open({ out: options.out, json: join(options.out, "results.json"), frames: false });
  if (options.strips) makeFolder(join(options.out, "strips"));

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
    tally.open(`${task.name} (${condition})`, task.instruction);
    using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: cameraSize });
    for (const { policy, start } of starts[i]) {
      const witness = new Witness(policy);
      const played = await rollout(env, witness, start, NINA, maxSteps, {
        interrupted: () => interrupt.requested,
        stepped: (steps) => progress.step(`${task.name} ${condition} ${start.init}`, steps / maxSteps),
        logProb: true,
      });
      if (played === null) break;
      const { episode, actions } = played;
      progress.episodeDone();
      tally.add(episode);
      const logDets = witness.moments.map((moment) => moment.logDet);
      heard.push({ condition, outcome: episode.outcome, logProbs: episode.logProbs ?? [], logDets });
      if (options.strips && witness.moments.length > 0) {
        const name = `${task.name}_${condition.replace(" ", "_")}_init_${String(start.init).padStart(2, "0")}`;
        const strip = drawStrip(witness.moments, `${name}: ${episode.outcome}`);
        writeFileAtomic(join(options.out, "strips", `${name}.png`), strip);
      }
      const line: EpisodeLine & Pick<Heard, "condition" | "logDets"> = {
        ...{ ...run, task: task.name, condition, instruction: start.instruction },
        ...{ ...episode, logDets, actions },
      };
      journal.keep(line, results());
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
