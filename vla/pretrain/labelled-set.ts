import type { Cache } from "../../core/index.ts";
import type { ExampleSet } from "../data/example-set.ts";
import type { SceneTask } from "../libero/scene-mates.ts";
import { type Labels, labelRecordings } from "./labels.ts";

/** A task of a scene, and where its things are in every state of some episodes of that scene. */
export interface LabelledTask {
  readonly name: string;
  readonly instruction: string;
  readonly labels: Labels;
}

/** What an example shows. */
export interface Labelled {
  /** All tasks of its scene: the picture could belong to any. */
  readonly tasks: readonly LabelledTask[];
  /** Which of them it was recorded for. */
  readonly own: number;
  /** Its state among those of the labels. */
  readonly state: number;
}

/** Examples with the labels of all tasks of their scenes. */
export class LabelledSet {
  readonly set: ExampleSet;
  /** Of each episode: its scene's tasks, which one is its own, and the number of its first state. */
  readonly #episodes: readonly Labelled[];

  private constructor(set: ExampleSet, episodes: readonly Labelled[]) {
    this.set = set;
    this.#episodes = episodes;
  }

  /**
   * Labels all episodes of causal pairs.
   * @param scenes the suite's tasks, by scene
   * @throws Error for an episode of another suite
   */
  static async open(
    set: ExampleSet,
    scenes: readonly (readonly SceneTask[])[],
    cache: Cache,
  ): Promise<LabelledSet> {
    if (set.settings.pairing !== "causal")
      throw new Error(
        `LabelledSet: expected causal pairs, which show their own states, found ${set.settings.pairing}`,
      );
    const episodes: Labelled[] = [];
    for (const scene of scenes) {
      const own = (task: string): number => scene.findIndex((one) => one.task.name === task);
      const here = set.episodes.flatMap((episode, i) => (own(episode.task) < 0 ? [] : [i]));
      if (here.length === 0) continue;
      const recordings = here.map((i) => {
        const { name, model, length, states } = set.episodes[i];
        return { name: `${set.fileOf(i)}, ${name}`, model, states: states(0, length) };
      });
      const tasks: LabelledTask[] = [];
      for (const { task, scene: composed } of scene)
        tasks.push({
          name: task.name,
          instruction: task.instruction,
          labels: await labelRecordings(composed, recordings, cache),
        });
      let state = 0;
      for (const i of here) {
        episodes[i] = { tasks, own: own(set.episodes[i].task), state };
        state += set.episodes[i].length;
      }
    }
    set.episodes.forEach(({ task }, i) => {
      if (!episodes[i]) throw new Error(`${set.fileOf(i)}: expected a task of the suite, found ${task}`);
    });
    return new LabelledSet(set, episodes);
  }

  /** What example `i` shows. */
  at(i: number): Labelled {
    const { episode, step } = this.set.at(i);
    const first = this.#episodes[episode];
    return { ...first, state: first.state + step };
  }

  /** Mean positions of object, destination and fingertips over a sample of the examples, metres, (9). */
  meanPositions(): Float64Array {
    const count = Math.min(1000, this.set.count);
    const sums = new Float64Array(9);
    for (let i = 0; i < count; i++) {
      const { tasks, own, state } = this.at(Math.floor((i * this.set.count) / count));
      tasks[own].labels.positions(state).forEach((value, k) => {
        sums[k] += value / count;
      });
    }
    return sums;
  }
}
