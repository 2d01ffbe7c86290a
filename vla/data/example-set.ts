import { availableMemory } from "node:process";
import { checkInteger, FormatError } from "../../core/index.ts";
import type { Image } from "../observation.ts";
import { CAMERAS, type Camera, type Demonstrations, type Episode } from "./demonstrations.ts";
import { demonstrationFiles, openDemonstrations } from "./formats.ts";
import { PictureStore } from "./picture-store.ts";

/**
 * Which picture an example shows with actions j, j + 1, …. LIBERO's files store with action j what was seen at the end
 * of its step. `"stored"` takes the pairs as they are, as NinA's reference trains: the policy sees what its first
 * action has already done. `"causal"` takes what was seen before action j, which is stored with action j − 1; the first
 * step of an episode then makes no example.
 */
export type Pairing = "stored" | "causal";

/** What makes examples of demonstrations. */
export interface ExampleSettings {
  /** A file of demonstrations, or a folder of them. */
  readonly path: string;
  readonly pairing: Pairing;
  /** Actions per example, T: the length of the chunk that a policy plans. */
  readonly horizon: number;
  /** Which episodes: every twentieth of a file is held out, from the fifth on. All when not given. */
  readonly split?: "training" | "held out";
  /** Bytes of pictures that are kept in memory at most; half of what is free when not given. */
  readonly memory?: number;
}

const HELD_OUT_EVERY = 20;
const HELD_OUT_FIRST = 4;

/** Where an example comes from. */
export interface ExamplePlace {
  /** Number of the episode in `episodes`. */
  readonly episode: number;
  /** Row of its first action in the episode's actions and states. */
  readonly step: number;
  /** Number of its instruction in `instructions`. */
  readonly instruction: number;
}

/**
 * All examples of some demonstrations, numbered in the order of files, episodes and steps: what is seen and told at a
 * step, and the next T actions. Past the end of an episode its last action is repeated, as NinA's reference does.
 */
export class ExampleSet implements Disposable {
  readonly settings: ExampleSettings;
  /** The files, in order. */
  readonly files: readonly string[];
  readonly episodes: readonly Episode[];
  /** The different instructions, in the order in which the episodes bring them. */
  readonly instructions: readonly string[];
  /** Number of examples. */
  readonly count: number;
  /** Side of all pictures, pixels. */
  readonly cameraSize: number;
  readonly #opened: readonly Demonstrations[];
  /** Number of each episode's first example, and `count`. */
  readonly #starts: Int32Array;
  readonly #pictures: PictureStore;
  /** Actions of each episode, read when they are first asked for. */
  readonly #actions: (Float32Array | undefined)[] = [];

  private constructor(
    settings: ExampleSettings,
    files: readonly string[],
    opened: readonly Demonstrations[],
  ) {
    checkInteger(settings.horizon, 1, "ExampleSet", "horizon");
    this.settings = settings;
    this.files = files;
    this.#opened = opened;
    this.episodes = opened.flatMap(({ episodes }) => {
      if (settings.split === undefined) return episodes;
      return episodes.filter(
        (_, i) => (i % HELD_OUT_EVERY === HELD_OUT_FIRST) === (settings.split === "held out"),
      );
    });
    if (this.episodes.length === 0)
      throw new FormatError(
        settings.path,
        `${HELD_OUT_FIRST + 1} episodes in a file, to hold one out`,
        "fewer",
      );
    this.instructions = [...new Set(this.episodes.map(({ instruction }) => instruction))];
    this.cameraSize = pictureSide(opened);
    this.#starts = new Int32Array(this.episodes.length + 1);
    this.episodes.forEach(({ length }, i) => {
      this.#starts[i + 1] = this.#starts[i] + length - this.#skipped;
    });
    this.count = this.#starts[this.episodes.length];
    if (this.count === 0)
      throw new FormatError(settings.path, "an episode of two steps or more, for causal pairs", "none");
    this.#pictures = new PictureStore(settings.memory ?? availableMemory() / 2);
  }

  /** @throws FormatError for a folder without demonstrations, and for pictures of different sizes. */
  static async open(settings: ExampleSettings): Promise<ExampleSet> {
    const files = demonstrationFiles(settings.path);
    const opened: Demonstrations[] = [];
    try {
      for (const file of files) opened.push(await openDemonstrations(file));
      return new ExampleSet(settings, files, opened);
    } catch (error) {
      for (const one of opened) one[Symbol.dispose]();
      throw error;
    }
  }

  /** Where example `i` comes from. */
  at(i: number): ExamplePlace {
    if (!(Number.isInteger(i) && 0 <= i && i < this.count))
      throw new RangeError(`ExampleSet: expected an example from 0 to ${this.count - 1}, got ${i}`);
    let [episode, end] = [0, this.episodes.length]; // the last episode that starts at or before i
    while (end - episode > 1) {
      const middle = (episode + end) >> 1;
      if (this.#starts[middle] <= i) episode = middle;
      else end = middle;
    }
    const step = i - this.#starts[episode] + this.#skipped;
    return { episode, step, instruction: this.instructions.indexOf(this.episodes[episode].instruction) };
  }

  /** Path of the file that an episode is in. */
  fileOf(episode: number): string {
    const wanted = this.episodes[episode];
    return this.files[this.#opened.findIndex(({ episodes }) => episodes.includes(wanted))];
  }

  /** What a camera shows in example `i`, (N, N, 3), row 0 the bottom row. */
  picture(i: number, camera: Camera): Image {
    const { episode, step } = this.at(i);
    return this.#pictures.picture(this.episodes[episode], camera, step - this.#skipped);
  }

  /**
   * The simulator's state (time, qpos, qvel) before the first action of example `i`: with causal pairs, what it shows.
   */
  state(i: number): Float64Array {
    const { episode, step } = this.at(i);
    return this.episodes[episode].states(step, step + 1);
  }

  /** Writes the actions of example `i`, row-major (T, 7). */
  writeActions(i: number, out: Float32Array): void {
    const { episode, step } = this.at(i);
    const { length } = this.episodes[episode];
    this.#actions[episode] ??= this.#readActions(episode);
    const all = this.#actions[episode];
    for (let t = 0; t < this.settings.horizon; t++) {
      const row = Math.min(step + t, length - 1);
      out.set(all.subarray(7 * row, 7 * row + 7), 7 * t);
    }
  }

  [Symbol.dispose](): void {
    for (const one of this.#opened) one[Symbol.dispose]();
  }

  #readActions(episode: number): Float32Array {
    const { name, length, actions } = this.episodes[episode];
    const all = Float32Array.from(actions(0, length));
    const wrong = all.findIndex((value) => !Number.isFinite(value));
    if (wrong === -1) return all;
    const who = `${this.fileOf(episode)}, ${name}`;
    throw new FormatError(who, "finite actions", `${all[wrong]} at step ${Math.floor(wrong / 7)}`);
  }

  /** Steps at the start of an episode that make no example; also how many rows the picture lies before the actions. */
  get #skipped(): number {
    return this.settings.pairing === "causal" ? 1 : 0;
  }
}

/** The side that all pictures share. */
function pictureSide(opened: readonly Demonstrations[]): number {
  const [side] = opened[0].episodes[0].pictureSize("agentview");
  for (const { name, episodes } of opened)
    for (const episode of episodes)
      for (const camera of CAMERAS) {
        const [H, W] = episode.pictureSize(camera);
        if (H !== side || W !== side)
          throw new FormatError(
            `${name}, ${episode.name}, ${camera}`,
            `pictures of ${side} x ${side}, as in ${opened[0].name}`,
            `${H} x ${W}`,
          );
      }
  return side;
}
