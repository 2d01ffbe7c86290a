import { encodeUpright } from "../eval/frames.ts";
import type { Observation } from "../observation.ts";
import type { Policy } from "../policies/policy.ts";

/** What a page shows of a run: as JSON it goes to the browser. */
export interface LiveState {
  readonly title: string;
  /** Episodes that are finished, and that the run is to have. */
  readonly done: number;
  readonly planned: number;
  /** What is done before the first episode. */
  readonly note: string;
  readonly playing: readonly {
    readonly id: number;
    readonly label: string;
    readonly steps: number;
    readonly mostSteps: number;
    /** How many pictures of it there were: another number says that there is a newer one; 0 for none. */
    readonly pictures: number;
  }[];
  /** As at the end of the run. */
  readonly table: string;
  readonly isOver: boolean;
}

/** What is known of a run as a whole; it grows while the run is played. */
export interface Counts {
  readonly done: number;
  readonly planned: number;
  readonly table: string;
}

export const CAMERAS = { agentview: "agentview_image", eye_in_hand: "robot0_eye_in_hand_image" } as const;

/** An episode that is played. */
interface Playing {
  readonly id: number;
  readonly label: string;
  steps: number;
  seen: Observation | null;
  pictures: number;
  /** Of `seen`, those that somebody asked for. */
  readonly encoded: Map<keyof typeof CAMERAS, Uint8Array>;
}

/**
 * Follows the episodes of a run. Pictures are those that policies are shown, whenever they plan: none is drawn or sent
 * anywhere for a watcher, and none is encoded unless one asks.
 */
export class Live {
  readonly #title: string;
  readonly #mostSteps: number;
  readonly #counts: Counts;
  readonly #playing = new Map<string, Playing>();
  #nextId = 1;
  #note = "";
  #isOver = false;

  constructor(title: string, mostSteps: number, counts: Counts) {
    [this.#title, this.#mostSteps, this.#counts] = [title, mostSteps, counts];
  }

  /** Says what is being done. */
  note(text: string): void {
    this.#note = text;
  }

  /**
   * An episode begins.
   *
   * @param label tells it from all others of the run.
   * @returns its policy, looked over the shoulder.
   */
  follow(label: string, policy: Policy): Policy {
    const playing: Playing = {
      id: this.#nextId++,
      label,
      steps: 0,
      seen: null,
      pictures: 0,
      encoded: new Map(),
    };
    this.#playing.set(label, playing);
    return {
      name: policy.name,
      reset: (seed) => policy.reset(seed),
      act(seen, instruction, request) {
        playing.seen = seen;
        playing.pictures++;
        playing.encoded.clear();
        return policy.act(seen, instruction, request);
      },
      [Symbol.dispose]: () => policy[Symbol.dispose]?.(),
    };
  }

  stepped(label: string, steps: number): void {
    const playing = this.#playing.get(label);
    if (playing) playing.steps = steps;
  }

  finished(label: string): void {
    this.#playing.delete(label);
  }

  /** The run has come to its end. */
  end(): void {
    this.#isOver = true;
    this.#playing.clear();
  }

  get state(): LiveState {
    const { done, planned, table } = this.#counts;
    return {
      title: this.#title,
      done,
      planned,
      note: this.#note,
      playing: [...this.#playing.values()].map(({ id, label, steps, pictures }) => ({
        id,
        label,
        steps,
        mostSteps: this.#mostSteps,
        pictures,
      })),
      table,
      isOver: this.#isOver,
    };
  }

  /** What a camera saw last in an episode, as PNG; null where that is not played, or nothing was seen yet. */
  picture(id: number, camera: keyof typeof CAMERAS): Uint8Array | null {
    const playing = [...this.#playing.values()].find((each) => each.id === id);
    if (!playing?.seen) return null;
    let png = playing.encoded.get(camera);
    if (!png) {
      png = encodeUpright(playing.seen[CAMERAS[camera]]);
      playing.encoded.set(camera, png);
    }
    return png;
  }
}
