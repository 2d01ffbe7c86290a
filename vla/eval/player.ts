import { join } from "node:path";
import { companionsOf } from "../libero/companions.ts";
import { composeScene } from "../libero/compose/scene.ts";
import type { Contacts } from "../libero/contacts.ts";
import { LiberoEnv, type StepOutcome } from "../libero/env.ts";
import { readInitStates } from "../libero/init-states.ts";
import { Premises } from "../libero/premises.ts";
import type { Protocol } from "../libero/protocols.ts";
import { createRenderer } from "../libero/render/renderer.ts";
import type { Term } from "../libero/scene.ts";
import { findTask, loadSuite, type Suite, type Task } from "../libero/suites.ts";
import type { Observation } from "../observation.ts";
import type { EpisodeName } from "../perturb/draws.ts";
import { Look } from "../perturb/look.ts";
import { PerturbedStage } from "../perturb/stage.ts";
import { findStart, NoSoundStart, type PerturbedStart } from "../perturb/start.ts";
import { type PerturbedTask, perturbTask } from "../perturb/task.ts";
import type { Policy } from "../policies/policy.ts";
import { FrameWriter } from "./frames.ts";
import type { EpisodeOutcome, Span, Trace } from "./results.ts";
import { type Rollout, rollout, type Watcher } from "./rollout.ts";
import { type EpisodeSetup, episodePath, type TaskSetup } from "./setup.ts";
import { SwappedGoal } from "./swapped-goal.ts";
import { VideoWriter } from "./video.ts";

/** Control steps after which objects of sound starts rest, or nearly: half a second. */
const SETTLED = 10;

/** What all episodes of a run have in common: plain data. */
export interface Setting {
  readonly libero: string;
  readonly robosuite: string;
  readonly suite: string;
  readonly seed: number;
  readonly protocol: Protocol;
  readonly maxSteps: number;
  readonly contacts: Contacts;
  readonly cameraSize: number;
  /** Whether the policy is asked for the log-probabilities of its chunks. */
  readonly logProb: boolean;
  /** Folder for what both cameras see at each step. */
  readonly frames?: string;
  /** Folder for a video of each episode. */
  readonly videos?: string;
}

/** What the look at a start found out. */
export interface Checked {
  /** Terms of `:init` that do not hold once things have settled. */
  readonly lostPremises: readonly string[];
  /** Where the episode starts instead, where it is perturbed. */
  readonly start: PerturbedStart | null;
  /** Why there is no start to play, where there is none as hard as was asked for. */
  readonly refused?: string;
}

/** An episode that was played to its end. */
export interface Played extends Rollout {
  readonly trace: Trace;
}

/** A task whose environment is open. */
interface Opened {
  readonly task: Task;
  readonly perturb: string | undefined;
  readonly env: LiberoEnv;
  readonly states: readonly Float64Array[];
  readonly perturbed: PerturbedTask | null;
  readonly look: Look | null;
}

/** Plays episodes of a run, and looks at their starts before; keeps the environment of one task open. */
export class Player implements Disposable {
  readonly #setting: Setting;
  readonly #suite: Suite;
  #opened: Opened | null = null;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#suite = loadSuite(setting.libero, setting.suite);
  }

  /**
   * Starts every episode without playing it: a state that does not fit the scene is told now, not after hours. And sees
   * whether things stay where the task has them: in half a second without motion, those that are thrown fly high.
   */
  async check(setup: TaskSetup): Promise<Checked[]> {
    const { env, task, states, perturbed } = await this.#open(setup);
    const { seed, protocol } = this.#setting;
    const premises = new Premises(env.scene, env.sim, env.predicates);
    return setup.episodes.map((episode): Checked => {
      const { init } = episode;
      try {
        const start = perturbed && findStart(env, perturbed, states[init], this.#name(task, init));
        env.start({ seed, ...(start ?? { state: states[init] }) });
        this.#swappedGoal(env, task, episode);
        premises.note();
        for (let step = 0; step < SETTLED; step++) env.advance(protocol.settle.action);
        return { lostPremises: premises.lost().map((term) => term.join(" ")), start };
      } catch (cause) {
        // The other episodes of a grid of levels are worth playing, and its results say that this one was not.
        if (cause instanceof NoSoundStart) return { lostPremises: [], start: null, refused: cause.message };
        throw new Error(`${task.initPath}, state ${init}: ${(cause as Error).message}`, { cause });
      }
    });
  }

  /** @returns null when the watcher interrupted it. */
  async play(
    setup: TaskSetup,
    episode: EpisodeSetup,
    { lostPremises, start: found }: Checked,
    policy: Policy,
    watcher: Pick<Watcher, "interrupted" | "stepped">,
  ): Promise<Played | null> {
    const { env, task, states, perturbed, look } = await this.#open(setup);
    const { seed, protocol, maxSteps, logProb } = this.#setting;
    const { init, policySeed, instruction, told, language } = episode;
    const swapped = this.#swappedGoal(env, task, episode);
    const harder =
      perturbed && look && new PerturbedStage(env, perturbed, look, this.#name(task, init), found);
    const stage = harder ?? swapped ?? env;
    const record = new Record(env, swapped?.terms ?? env.scene.goal);
    const start = { init, state: states[init], seed, policySeed, instruction };
    const keepers = await this.#keepers(setup, init);
    const played = await rollout(stage, policy, start, protocol, maxSteps, {
      interrupted: watcher.interrupted,
      stepped(steps, outcome) {
        record.step(steps, outcome);
        watcher.stepped(steps, outcome);
      },
      logProb,
      ...(keepers.length > 0 && {
        frame: async (step, seen) => {
          for (const keeper of keepers) await keeper.write(seen, step);
        },
      }),
    });
    if (played === null) return null;
    for (const keeper of keepers) keeper.finish?.();
    const outcome: EpisodeOutcome = {
      ...played.episode,
      ...(lostPremises.length > 0 && { lostPremises }),
      ...(swapped && { swapped: { told, instruction, ...swapped.held } }),
      ...(harder && {
        perturbed: { levels: setup.perturb!, ...harder.change, ...(language && { language }) },
      }),
    };
    return { ...played, episode: outcome, trace: record.trace };
  }

  [Symbol.dispose](): void {
    this.#opened?.env[Symbol.dispose]();
    this.#opened = null;
  }

  async #open({ task: name, levels, perturb }: TaskSetup): Promise<Opened> {
    if (this.#opened?.task.name === name && this.#opened.perturb === perturb) return this.#opened;
    this[Symbol.dispose]();
    const { seed, contacts, cameraSize } = this.#setting;
    const task = findTask(this.#suite, name);
    const from = { ...this.#setting, task };
    const perturbed = perturb === undefined ? null : perturbTask(from, this.#suite, levels, seed);
    const plain = composeScene(from);
    const env = await LiberoEnv.open(perturbed?.scene ?? plain, {
      contacts,
      renderer: createRenderer,
      imageSize: cameraSize,
    });
    this.#opened = {
      task,
      perturb,
      env,
      states: readInitStates(task.initPath, plain.layout),
      perturbed,
      look: perturbed && new Look(env, perturbed.height),
    };
    return this.#opened;
  }

  #swappedGoal(env: LiberoEnv, task: Task, { told }: EpisodeSetup): SwappedGoal | null {
    if (told === task.name) return null;
    const companions = companionsOf(this.#suite.tasks).get(findTask(this.#suite, task.name))!;
    return new SwappedGoal(env, companions.find((companion) => companion.task.name === told)!.goal);
  }

  /** What its perturbations are drawn from. */
  #name(task: Task, init: number): EpisodeName {
    return { seed: this.#setting.seed, suite: this.#suite.name, task: task.name, init };
  }

  /** Who keeps what the cameras see of an episode. */
  async #keepers({ task, perturb }: TaskSetup, init: number): Promise<Keeper[]> {
    const { frames, videos } = this.#setting;
    const path = episodePath({ task, perturb, init });
    return [
      ...(frames === undefined ? [] : [FrameWriter.open(join(frames, path))]),
      ...(videos === undefined ? [] : [await VideoWriter.open(join(videos, `${path}.webp`))]),
    ];
  }
}

/** Keeps what the cameras see. */
interface Keeper {
  write(seen: Observation, step: number): Promise<void>;
  /** The episode was played to its end. */
  finish?(): void;
}

/** Notes what happens in an episode. */
class Record {
  readonly #env: LiberoEnv;
  readonly #gripper: number[] = [];
  readonly #goal: readonly { readonly term: string; readonly held: Span[] }[];

  constructor(env: LiberoEnv, goal: readonly Term[]) {
    this.#env = env;
    this.#goal = goal.map((words) => ({ term: words.join(" "), held: [] }));
  }

  step(step: number, { held }: StepOutcome): void {
    const [left, right] = this.#env.readings.robot0_gripper_qpos;
    this.#gripper.push(round(left - right));
    for (const [i, holds] of held.entries()) {
      if (!holds) continue;
      const spans = this.#goal[i].held;
      const last = spans.at(-1);
      if (last?.[1] === step - 1) spans[spans.length - 1] = [last[0], step];
      else spans.push([step, step]);
    }
  }

  get trace(): Trace {
    return { gripper: this.#gripper, goal: this.#goal };
  }
}

/** To a tenth of a millimetre. */
const round = (metres: number): number => Math.round(metres * 1e4) / 1e4;
