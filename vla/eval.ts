/** Evaluates a policy on LIBERO tasks, in this process: `npx tsx vla/eval.ts --help`. */
import { runMain, UsageError } from "../cli/index.ts";
import { engineInfo, tileSetting } from "../core/index.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Journal } from "./eval/journal.ts";
import { type Options, readOptions } from "./eval/options.ts";
import { Progress } from "./eval/progress.ts";
import type { EpisodeResult, Results, RunInfo } from "./eval/results.ts";
import { rollout, type Start } from "./eval/rollout.ts";
import { episodeSeed } from "./eval/seed.ts";
import { SwappedGoal } from "./eval/swapped-goal.ts";
import { Tally } from "./eval/tally.ts";
import { companionsOf } from "./libero/companions.ts";
import { composeScene } from "./libero/compose/scene.ts";
import { LiberoEnv } from "./libero/env.ts";
import { readInitStates } from "./libero/init-states.ts";
import { MUJOCO_VERSION } from "./libero/mujoco.ts";
import { Premises } from "./libero/premises.ts";
import type { Protocol } from "./libero/protocols.ts";
import { createRenderer } from "./libero/render/renderer.ts";
import type { Scene, Term } from "./libero/scene.ts";
import { findTasks, loadSuite, type Task } from "./libero/suites.ts";
import { showLevels } from "./perturb/dimensions.ts";
import { drawsOf, type EpisodeName } from "./perturb/draws.ts";
import { perturbInstruction } from "./perturb/language.ts";
import { Look } from "./perturb/look.ts";
import { PerturbedStage } from "./perturb/stage.ts";
import { findStart, type PerturbedStart } from "./perturb/start.ts";
import { type PerturbedTask, perturbTask } from "./perturb/task.ts";
import { endPolicies, loadPolicy, type PolicyFiles, type PolicySource } from "./policies/index.ts";
import { threadedPolicy } from "./policies/thread.ts";
import type { Policy } from "./policy.ts";

/** Control steps after which objects of sound starts rest, or nearly: half a second. */
const SETTLED = 10;

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { protocol, maxSteps, seed, conditions } = options;
  const suite = loadSuite(options.libero, options.suite);
  const tasks = options.tasks === null ? suite.tasks : findTasks(suite, options.tasks);

  // Whatever can be refused is refused before the first step of the first task.
  using journal = Journal.open(options);
  tileSetting(); // throws for a bad one, which is no fault of the policy
  // What is planned while actions play is planned beside the simulator, which never waits for anything.
  const load = protocol.overlap > 0 ? threadedPolicy : loadPolicy;
  const policies = await load(options.policy, filesOf(options));
  checkOverlap(protocol, policies);
  if (options.logProb && !policies.hasDensity)
    throw new UsageError(`--log-prob: expected a policy with a density, got ${policies.name}`);
  const companions = options.swapWords ? companionsOf(suite.tasks) : null;
  const pairs = conditions.flatMap((levels) => tasks.map((task) => ({ levels, task })));
  const plan = pairs.map(({ levels, task }) => {
    const others = companions?.get(task) ?? [];
    if (companions && others.length === 0)
      throw new UsageError(
        `--swap-words: ${task.name} shares its scene with no task of ${suite.name} that asks for something else`,
      );
    const scene = composeScene({ ...options, task });
    const states = readInitStates(task.initPath, scene.layout);
    const perturb = showLevels(levels);
    const perturbed = perturb === "none" ? null : perturbTask({ ...options, task }, suite, levels, seed);
    const last = options.first + options.episodes - 1;
    // One that is played twice is the same episode twice, and no further evidence.
    if (last >= states.length)
      throw new UsageError(`${task.name} has ${states.length} initial states, no number ${last}`);
    const episodes = Array.from({ length: options.episodes }, (_, i) => {
      const init = options.first + i;
      // Each of the others in turn, whichever starts are chosen.
      const swapped = others.length > 0 ? others[init % others.length] : null;
      const told = swapped?.task ?? task;
      const name: EpisodeName = { seed, suite: suite.name, task: task.name, init };
      const language = perturbed && perturbedWords(perturbed, task, name);
      const instruction = language?.instruction ?? told.instruction;
      const key = {
        ...{ suite: suite.name, task: task.name, told: told.name, instruction },
        ...{ init, seed, protocol, perturb },
      };
      const policySeed = episodeSeed(seed, suite.name, task.name, init);
      const start = { init, state: states[init], seed, policySeed, instruction };
      const choose = () =>
        policies.forEpisode({ ...key, contacts: options.contacts, mujoco: MUJOCO_VERSION });
      const policy = language ? readerOf(policies.name, choose) : choose();
      return { start, policy, swapped, name, language };
    });
    return { task, perturb, perturbed, scene: perturbed?.scene ?? scene, episodes };
  });
  // As `readerOf` has it, words that a perturbation chose may break their own episodes only.
  if (!conditions.some(({ language }) => language)) await policies.accepted?.();
  type TaskPlan = (typeof plan)[number];
  type EpisodePlan = TaskPlan["episodes"][number];
  /** Where perturbed episodes start. */
  const found = new Map<EpisodePlan, PerturbedStart | null>();
  const cameraSize = policies.cameraSize ?? protocol.cameraSize;
  const open = (scene: Scene) =>
    LiberoEnv.open(scene, {
      contacts: options.contacts,
      renderer: createRenderer,
      imageSize: cameraSize,
    });
  /**
   * Starts every episode without playing it: a state that does not fit the scene is told now, not after hours. And sees
   * whether things stay where the task has them: in half a second without motion, those that are thrown fly high.
   *
   * @returns for each episode the premises that are lost.
   */
  const rehearse = async ({
    task,
    perturbed,
    scene,
    episodes,
  }: TaskPlan): Promise<readonly (readonly Term[])[]> => {
    using env = await open(scene);
    const premises = new Premises(scene, env.sim, env.predicates);
    return episodes.map((episode) => {
      const { start, swapped, name } = episode;
      if (perturbed) found.set(episode, findStart(env, perturbed, start.state, name));
      startEpisode(env, task, start, found.get(episode) ?? null);
      if (swapped) new SwappedGoal(env, swapped.goal);
      premises.note();
      for (let step = 0; step < SETTLED; step++) env.advance(protocol.settle.action);
      return premises.lost();
    });
  };
  const lost = new Map<TaskPlan, readonly (readonly Term[])[]>();
  const planned = plan.length * options.episodes;
  const progress = new Progress(planned);
  for (const [i, each] of plan.entries()) {
    progress.note(`checking task ${i + 1}/${plan.length}  ${each.task.name}`);
    lost.set(each, await rehearse(each));
  }

  const run: RunInfo = {
    suite: suite.name,
    policy: policies.name,
    untrained: policies.untrained,
    seed,
    protocol: protocol.name,
    overlap: protocol.overlap,
    swapWords: options.swapWords,
    perturb: options.perturb,
    robustness: options.robustness,
    cameraSize,
    sampling: policies.sampling,
    device: policies.device,
    ...(policies.device && { weights: options.weights }),
    engine: {
      node: process.versions.node,
      mujoco: MUJOCO_VERSION,
      contacts: options.contacts,
      fma: engineInfo().fma,
    },
  };
  const tally = new Tally(planned);
  const results = (): Results => ({ ...run, complete: tally.complete, tasks: tally.tasks });
  using interrupt = new Interrupt();

  const play = async (each: TaskPlan): Promise<void> => {
    const { task, perturb, perturbed, scene, episodes } = each;
    tally.open(task.name, task.instruction, perturbed ? perturb : undefined);
    using env = await open(scene);
    const look = perturbed && new Look(env, perturbed.height);
    for (const [i, planned] of episodes.entries()) {
      const { start, policy, swapped, name, language } = planned;
      const goal = swapped && new SwappedGoal(env, swapped.goal);
      const harder =
        perturbed && look && new PerturbedStage(env, perturbed, look, name, found.get(planned) ?? null);
      const label = `${task.name} ${start.init}${perturbed ? ` (${perturb})` : ""}`;
      const played = await rollout(harder ?? goal ?? env, policy, start, protocol, maxSteps, {
        interrupted: () => interrupt.requested,
        logProb: options.logProb,
        stepped: (steps) => progress.step(label, steps / maxSteps),
        frame: journal.frames(task.name, start.init),
      });
      if (played === null) break;
      const { actions } = played;
      const { instruction } = start;
      const lostPremises = lost.get(each)![i].map((term) => term.join(" "));
      const episode: EpisodeResult = {
        ...played.episode,
        ...(lostPremises.length > 0 && { lostPremises }),
        ...(goal && { swapped: { told: swapped.task.name, instruction, ...goal.held } }),
        ...(harder && { perturbed: { levels: perturb, ...harder.change, ...(language && { language }) } }),
      };
      progress.episodeDone();
      tally.add(episode);
      journal.keep({ ...run, task: task.name, instruction, ...episode, actions }, results());
    }
  };

  try {
    journal.save(results());
    for (const each of plan) {
      if (interrupt.requested) break;
      await play(each);
    }
  } finally {
    // A simulator that breaks ends the run, and what it had found out is worth seeing.
    progress.clear();
    await endPolicies(policies);
    (journal.ownsStdout ? console.error : console.log)(tally.report(run));
    journal.finish(results());
  }
  process.exitCode = tally.complete ? Number(tally.errors > 0) : INTERRUPTED;
});

/** What of the options is the policy's: a thread is sent them. */
function filesOf({ file, checkpoint, sampling, device, weights }: Options): PolicyFiles {
  return { file, checkpoint, sampling, device, weights };
}

/** A plan must have actions left to execute when the next one takes over, and one more before that is asked for. */
function checkOverlap({ overlap, actionsPerQuery }: Protocol, { name, sampling }: PolicySource): void {
  const handedOut = Math.min(sampling?.actionsPerQuery ?? Infinity, actionsPerQuery ?? Infinity);
  if (2 * overlap >= handedOut)
    throw new UsageError(
      `--overlap: expected less than half of the ${handedOut} actions that ${name} hands out, got ${overlap}`,
    );
}

function startEpisode(
  env: LiberoEnv,
  task: Task,
  { init, state, seed }: Start,
  found: PerturbedStart | null,
): void {
  try {
    env.start({ seed, ...(found ?? { state }) });
  } catch (cause) {
    throw new Error(`${task.initPath}, state ${init}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The policy of an episode with other words than its task's. One that cannot read them, such as more of them than it has room
 * for, breaks when it is told, as it would in use: the other episodes are played nevertheless.
 */
function readerOf(name: string, choose: () => Policy): Policy {
  try {
    return choose();
  } catch (error) {
    const act = (): never => {
      throw error;
    };
    return { name, reset() {}, act };
  }
}

/** What is said in an episode, if that is perturbed. */
function perturbedWords({ levels, others }: PerturbedTask, { instruction }: Task, name: EpisodeName) {
  const level = levels.language;
  return level ? perturbInstruction(instruction, others, level, drawsOf("language", name)) : null;
}
