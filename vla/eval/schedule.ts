import type { EpisodePlan, TaskPlan } from "./plan.ts";

/** An episode that is to be played. */
export interface Job {
  readonly plan: TaskPlan;
  readonly episode: EpisodePlan;
}

/**
 * Hands out the episodes of a run to threads, each of which keeps the environment of one task open: opening another takes
 * longer than some episodes. So a thread goes on with its task while that has episodes left; then it begins one that
 * nobody plays, and at last it helps where most is left for each.
 */
export class Schedule {
  readonly #left = new Map<TaskPlan, EpisodePlan[]>();
  /** What each thread has open. */
  readonly #open = new Map<number, TaskPlan>();

  constructor(plans: readonly TaskPlan[]) {
    for (const plan of plans) this.#left.set(plan, [...plan.episodes]);
  }

  /** The next episode of a thread; null when none is left. */
  next(thread: number): Job | null {
    const plan = this.#choose(thread);
    if (plan === null) return null;
    this.#open.set(thread, plan);
    return { plan, episode: this.#left.get(plan)!.shift()! };
  }

  /** Hands an episode out once more. */
  again({ plan, episode }: Job): void {
    this.#left.get(plan)!.unshift(episode);
  }

  #choose(thread: number): TaskPlan | null {
    const own = this.#open.get(thread);
    const left = [...this.#left].filter(([, { length }]) => length > 0);
    if (left.length === 0) return null;
    if (own && this.#left.get(own)!.length > 0) return own;
    this.#open.delete(thread);
    const players = (plan: TaskPlan) => [...this.#open.values()].filter((each) => each === plan).length;
    const shares = left.map(([plan, { length }]) => [plan, length / players(plan)] as const);
    // Nobody plays those with an infinite share; of these the first.
    const most = Math.max(...shares.map(([, share]) => share));
    return shares.find(([, share]) => share === most)![0];
  }
}
