import type { EpisodeSetup, TaskSetup } from "./setup.ts";

/** An episode that is to be played. */
export interface Job {
  readonly setup: TaskSetup;
  readonly episode: EpisodeSetup;
}

/**
 * Hands out the episodes of a run to threads, each of which keeps the environment of one task open: opening another
 * takes longer than some episodes. So a thread goes on with its task while that has episodes left; then it begins one
 * that nobody plays, and at last it helps where most is left for each.
 */
export class Schedule {
  readonly #left = new Map<TaskSetup, EpisodeSetup[]>();
  /** What each thread has open. */
  readonly #open = new Map<number, TaskSetup>();

  constructor(setups: readonly TaskSetup[]) {
    for (const setup of setups) this.#left.set(setup, [...setup.episodes]);
  }

  /** The next episode of a thread; null when none is left. */
  next(thread: number): Job | null {
    const setup = this.#choose(thread);
    if (setup === null) return null;
    this.#open.set(thread, setup);
    return { setup, episode: this.#left.get(setup)!.shift()! };
  }

  /** Hands an episode out once more. */
  again({ setup, episode }: Job): void {
    this.#left.get(setup)!.unshift(episode);
  }

  #choose(thread: number): TaskSetup | null {
    const own = this.#open.get(thread);
    const left = [...this.#left].filter(([, { length }]) => length > 0);
    if (left.length === 0) return null;
    if (own && this.#left.get(own)!.length > 0) return own;
    this.#open.delete(thread);
    const players = (setup: TaskSetup) => [...this.#open.values()].filter((each) => each === setup).length;
    const shares = left.map(([setup, { length }]) => [setup, length / players(setup)] as const);
    // Nobody plays those with an infinite share; of these the first.
    const most = Math.max(...shares.map(([, share]) => share));
    return shares.find(([, share]) => share === most)![0];
  }
}
