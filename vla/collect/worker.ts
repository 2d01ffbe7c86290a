/**
 * Plays and records starts that another process sends, one at a time: `{ task, start }` in, `{ task, start, success }`
 * out. A process of its own, since MuJoCo keeps one thread busy.
 */
import { Random, readText } from "../../core/index.ts";
import { writeLiberoDemonstrations } from "../data/libero-hdf5-writer.ts";
import { episodeSeed } from "../eval/seed.ts";
import { composeScene } from "../libero/compose/scene.ts";
import { LiberoEnv } from "../libero/env.ts";
import { createRenderer } from "../libero/render/renderer.ts";
import { findTask, loadSuite, type Task } from "../libero/suites.ts";
import { sampleInitStates } from "../suites/mini/make-init-states.ts";
import { MINI, miniRoots } from "../suites/mini/roots.ts";
import { demonstrationHeader } from "./header.ts";
import { recordEpisode } from "./record.ts";
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

/** Initial states are sampled this many at a time. */
const BLOCK = 25;

class Player {
  readonly #settings: CollectSettings;
  readonly #store: CollectStore;
  #task: Task | null = null;
  #env: LiberoEnv | null = null;
  #states = new Map<number, Float64Array>();

  constructor(folder: string, settings: CollectSettings) {
    this.#settings = settings;
    this.#store = CollectStore.open(folder, settings);
  }

  async play({ task: name, start }: Request): Promise<boolean> {
    const { seed, noise, imageSize } = this.#settings;
    const { task, env } = await this.#open(name);
    const random = new Random(episodeSeed(seed, MINI, name, start), 1);
    const from = { task: name, state: await this.#state(task, start), seed, expertSeed: start };
    const episode = recordEpisode(env, from, noise, random);
    if (episode) {
      const header = demonstrationHeader(task, miniRoots.libero, readText(task.bddlPath, 2 ** 20), imageSize);
      await writeLiberoDemonstrations(this.#store.part(name, start), header, [episode]);
    } else this.#store.noteFailure(name, start);
    return episode !== null;
  }

  async #open(name: string): Promise<{ task: Task; env: LiberoEnv }> {
    if (this.#task?.name !== name || !this.#env) {
      this.#env?.[Symbol.dispose]();
      this.#states.clear();
      this.#task = findTask(loadSuite(miniRoots.libero, MINI), name);
      const scene = composeScene({ ...miniRoots, task: this.#task });
      const { imageSize } = this.#settings;
      this.#env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize });
    }
    return { task: this.#task, env: this.#env };
  }

  async #state(task: Task, start: number): Promise<Float64Array> {
    if (!this.#states.has(start)) {
      const block = start - (start % BLOCK);
      const states = await sampleInitStates(task, block, BLOCK);
      this.#states = new Map(states.map((state, i) => [block + i, state]));
    }
    return this.#states.get(start) as Float64Array;
  }
}

const [folder, settings] = process.argv.slice(2);
const player = new Player(folder, JSON.parse(settings));
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
