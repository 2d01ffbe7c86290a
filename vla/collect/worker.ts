/**
 * Plays and records starts that another process sends, one at a time: `{ task, start }` in, `{ task, start, success }`
 * out. A process of its own, since MuJoCo keeps one thread busy.
 */
import { Random, readText } from "../../core/index.ts";
import { type RecordedEpisode, writeLiberoDemonstrations } from "../data/libero-hdf5-writer.ts";
import { episodeSeed } from "../eval/seed.ts";
import { composeScene, resetDrawsOf } from "../libero/compose/scene.ts";
import { LiberoEnv } from "../libero/env.ts";
import { readInitStates } from "../libero/init-states.ts";
import { createRenderer } from "../libero/render/renderer.ts";
import { sampleInitStates } from "../libero/sample-init-states.ts";
import { groupByScene, type SceneTask } from "../libero/scene-mates.ts";
import { findTask, loadSuite, type Task } from "../libero/suites.ts";
import type { NinaModel } from "../policies/nina-model.ts";
import { RandomScenes } from "../pretrain/random-scenes.ts";
import { sampleInitStates as sampleEmbedded } from "../suites/mini/make-init-states.ts";
import { MINI } from "../suites/mini/roots.ts";
import { demonstrationHeader } from "./header.ts";
import { type Pupil, recordEpisode, type Unrecorded } from "./record.ts";
import { type CollectSettings, CollectStore } from "./store.ts";

/** What a worker is asked for, and its answer. */
export interface Request {
  readonly task: string;
  readonly start: number;
}
export interface Answer extends Request {
  readonly success: boolean;
  /** Why it could not be played, when it could not. */
  readonly error?: string;
}

/** The folders that the suite is read from. */
export interface SuiteRoots {
  readonly libero: string;
  readonly robosuite: string;
}

/** Where joints of a clone's fixtures stand of which `:init` says nothing. */
const SHUT = [0, 0] as const;

/** Initial states are sampled this many at a time. */
const BLOCK = 25;

/** Scenes in an episode of random ones. */
const RANDOM_FRAMES = 100;

class Player {
  readonly #settings: CollectSettings;
  readonly #store: CollectStore;
  readonly #roots: SuiteRoots;
  #task: Task | null = null;
  #env: LiberoEnv | null = null;
  #scenes: RandomScenes | null = null;
  #states = new Map<number, Float64Array>();
  /** Folder of the policy that drives before the expert. */
  readonly #checkpoint: string | undefined;
  #model: NinaModel | null = null;

  constructor(folder: string, settings: CollectSettings, roots: SuiteRoots, checkpoint: string | undefined) {
    this.#settings = settings;
    this.#store = CollectStore.open(folder, settings);
    this.#roots = roots;
    this.#checkpoint = checkpoint;
  }

  async play({ task: name, start }: Request): Promise<boolean> {
    const { imageSize } = this.#settings;
    await this.#open(name);
    const task = this.#task as Task;
    const episode = this.#scenes ? this.#random(start, this.#scenes) : await this.#expert(task, start);
    if (typeof episode === "string") this.#store.noteUnrecorded(name, start, episode);
    else {
      const header = demonstrationHeader(
        task,
        this.#roots.libero,
        readText(task.bddlPath, 2 ** 20),
        imageSize,
      );
      await writeLiberoDemonstrations(this.#store.part(name, start), header, [episode]);
    }
    return typeof episode !== "string";
  }

  async #expert(task: Task, start: number): Promise<RecordedEpisode | Unrecorded> {
    const { suite, seed, noise } = this.#settings;
    const own = episodeSeed(seed, suite, task.name, start);
    const from = { task: task.name, state: await this.#state(task, start), seed, expertSeed: start };
    const pupil = await this.#pupil(task, own);
    return recordEpisode(this.#env as LiberoEnv, from, noise, new Random(own, 1), pupil);
  }

  async #pupil({ instruction }: Task, policySeed: number): Promise<Pupil | undefined> {
    if (this.#checkpoint === undefined || !this.#settings.policy) return undefined;
    const { share, checkpoint: expected } = this.#settings.policy;
    if (!this.#model) {
      const { NinaModel } = await import("../policies/nina-model.ts");
      const { checkpointDigest, loadCheckpoint } = await import("../checkpoint.ts");
      this.#model = new NinaModel(this.#checkpoint, loadCheckpoint(this.#checkpoint));
      // Training may have gone on in that folder meanwhile.
      const found = checkpointDigest(this.#checkpoint);
      if (found !== expected)
        throw new Error(`${this.#checkpoint}: expected the files of digest ${expected}, found ${found}`);
    }
    this.#model.prepare(instruction);
    return { policy: this.#model.policy(), policySeed, instruction, share };
  }

  #random(number: number, scenes: RandomScenes): RecordedEpisode {
    const { suite, seed } = this.#settings;
    const { name } = this.#task as Task;
    return scenes.episode(RANDOM_FRAMES, new Random(episodeSeed(seed, suite, name, number), 2));
  }

  async #open(name: string): Promise<void> {
    if (this.#task?.name === name) return;
    this.#env?.[Symbol.dispose]();
    this.#states.clear();
    const suite = loadSuite(this.#roots.libero, this.#settings.suite);
    const task = findTask(suite, name);
    const from = { ...this.#roots, task };
    const { imageSize, random } = this.#settings;
    const env = await LiberoEnv.open(composeScene(from), { renderer: createRenderer, imageSize });
    [this.#task, this.#env] = [task, env];
    if (!random) return;
    const mates = groupByScene(this.#roots, suite.tasks).find((group) =>
      group.some((one) => one.task.name === name),
    );
    const scenes = (mates as SceneTask[]).map(({ scene }) => scene);
    this.#scenes = new RandomScenes(env, resetDrawsOf(from), scenes);
  }

  async #state(task: Task, start: number): Promise<Float64Array> {
    if (!this.#states.has(start)) {
      const block = start - (start % BLOCK);
      const states = await this.#sample(task, block);
      this.#states = new Map(states.map((state, i) => [block + i, state]));
    }
    return this.#states.get(start) as Float64Array;
  }

  /** As many starts as a block has, from number `first` on: a clone stores the first ones. */
  async #sample(task: Task, first: number): Promise<Float64Array[]> {
    if (this.#settings.suite === MINI) return sampleEmbedded(task, first, BLOCK);
    const stored = readInitStates(task.initPath).slice(first, first + BLOCK);
    const more = { first: first + stored.length, count: BLOCK - stored.length, unasked: SHUT };
    return [...stored, ...(await sampleInitStates({ ...this.#roots, task }, more))];
  }
}

const [folder, settings, roots, checkpoint] = process.argv.slice(2);
const player = new Player(folder, JSON.parse(settings), JSON.parse(roots), checkpoint);
process.on("message", async (request: Request) => {
  let answer: Answer;
  try {
    answer = { ...request, success: await player.play(request) };
  } catch (error) {
    answer = { ...request, success: false, error: (error as Error).message };
  }
  process.send?.(answer);
});
process.on("disconnect", () => process.exit());
// Ctrl-C reaches the whole group; the process that leads it decides when to end.
process.on("SIGINT", () => {});
