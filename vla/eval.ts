/** Evaluates a policy on LIBERO tasks, in this process: `npx tsx vla/eval.ts --help`. */
import { engineInfo, runMain, UsageError } from "../core/index.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Journal } from "./eval/journal.ts";
import { readOptions } from "./eval/options.ts";
import { Progress } from "./eval/progress.ts";
import type { RunInfo } from "./eval/results.ts";
import { rollout } from "./eval/rollout.ts";
import { episodeSeed } from "./eval/seed.ts";
import { Tally } from "./eval/tally.ts";
import { composeScene } from "./libero/compose/scene.ts";
import { LiberoEnv } from "./libero/env.ts";
import { readInitStates } from "./libero/init-states.ts";
import { MUJOCO_VERSION } from "./libero/mujoco.ts";
import { maxSteps } from "./libero/protocols.ts";
import { createRenderer } from "./libero/render/renderer.ts";
import { findTasks, loadSuite } from "./libero/suites.ts";
import { loadPolicy } from "./policies/index.ts";

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { protocol, seed } = options;
  const suite = loadSuite(options.libero, options.suite);
  const tasks = options.tasks === null ? suite.tasks : findTasks(suite, options.tasks);
  const limit = maxSteps(protocol, suite.name);
  const policies = await loadPolicy(options.policy, options);

  // Whatever can be refused is refused before the first step of the first task.
  const plan = tasks.map((task) => {
    const scene = composeScene({ ...options, task });
    const states = readInitStates(task.initPath);
    const last = options.first + options.episodes - 1;
    // One that is played twice is the same episode twice, and no further evidence.
    if (last >= states.length)
      throw new UsageError(`${task.name} has ${states.length} initial states, no number ${last}`);
    const episodes = Array.from({ length: options.episodes }, (_, i) => {
      const init = options.first + i;
      const key = { suite: suite.name, task: task.name, init, seed, protocol };
      const policySeed = episodeSeed(seed, suite.name, task.name, init);
      const start = { init, state: states[init], seed, policySeed, instruction: task.instruction };
      return { start, policy: policies.forEpisode(key) };
    });
    return { task, scene, episodes };
  });

  const run: RunInfo = {
    suite: suite.name,
    policy: policies.name,
    untrained: policies.untrained,
    seed,
    protocol: protocol.name,
    engine: {
      node: process.versions.node,
      mujoco: MUJOCO_VERSION,
      contacts: options.contacts,
      fma: engineInfo().fma,
    },
  };
  const journal = await Journal.open(options, run);
  const tally = new Tally(tasks.length * options.episodes);
  const progress = new Progress(tally.planned);
  using interrupt = new Interrupt();

  try {
    for (const { task, scene, episodes } of plan) {
      if (interrupt.requested) break;
      tally.open(task.name, task.instruction);
      using env = await LiberoEnv.open(scene, {
        contacts: options.contacts,
        renderer: createRenderer,
        imageSize: protocol.image.rendered,
      });
      for (const { start, policy } of episodes) {
        const played = await rollout(env, policy, start, protocol, limit, {
          interrupted: () => interrupt.requested,
          stepped: (steps) => progress.step(`${task.name} ${start.init}`, steps / limit),
          frame: await journal.frames(task.name, start.init),
        });
        if (played === null) break;
        progress.episodeDone();
        tally.add(played.episode);
        await journal.append(task, played.episode, played.actions);
        journal.save(tally);
      }
    }
  } finally {
    // A simulator that breaks ends the run, and what it had found out is worth seeing.
    progress.clear();
    console.log(tally.report(run));
  }
  process.exitCode = tally.complete ? Number(tally.errors > 0) : INTERRUPTED;
});
