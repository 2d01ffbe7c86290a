import type { Policy } from "../policies/policy.ts";
import type { Ended } from "./ledger.ts";
import type { Checked, Setting } from "./player.ts";
import { PlayerThread } from "./player-thread.ts";
import { type Job, Schedule } from "./schedule.ts";
import { episodeKey, type TaskSetup } from "./setup.ts";

/** Who follows what a crew plays. */
export interface Follower {
  /** The policy of an episode that is about to be played. */
  policyFor(job: Job): Policy;
  /** Told after each control step. */
  stepped(job: Job, steps: number): void;
  /** Told of each episode at its end. `retried`: why it was played twice, where it was. */
  finished(job: Job, ended: Ended, retried?: string): void;
}

/**
 * Threads that play the episodes of a run at the same time, each with a simulator of its own. Their policies act in
 * this thread.
 *
 * An episode that ends in an error, or whose simulator breaks, is played once more; a thread whose simulator broke is
 * replaced.
 */
export class Crew implements Disposable {
  readonly #setting: Setting;
  readonly #threads: PlayerThread[];
  #isOver = false;

  constructor(setting: Setting, size: number) {
    this.#setting = setting;
    this.#threads = Array.from({ length: size }, () => new PlayerThread(setting));
  }

  /**
   * Looks at every start: see `Player.check`.
   *
   * @param checking told of each task that is looked at.
   */
  async check(
    setups: readonly TaskSetup[],
    checking: (setup: TaskSetup) => void,
  ): Promise<Map<TaskSetup, readonly Checked[]>> {
    const checked = new Map<TaskSetup, readonly Checked[]>();
    const left = [...setups];
    await this.#all(async (thread) => {
      while (!this.#isOver) {
        const setup = left.shift();
        if (!setup) return;
        checking(setup);
        checked.set(setup, await this.#threads[thread].check(setup));
      }
    });
    return checked;
  }

  /** Plays all episodes of these tasks, or, when interrupted, some of them. */
  async play(
    setups: readonly TaskSetup[],
    checked: ReadonlyMap<TaskSetup, readonly Checked[]>,
    follower: Follower,
  ): Promise<void> {
    const schedule = new Schedule(setups);
    const retried = new Map<string, string>();
    await this.#all(async (thread) => {
      for (let job = schedule.next(thread); job && !this.#isOver; job = schedule.next(thread)) {
        const { setup, episode } = job;
        const start = checked.get(setup)![setup.episodes.indexOf(episode)];
        if (start.refused !== undefined) {
          follower.finished(job, { crashed: start.refused });
          continue;
        }
        const ended = await this.#playOne(thread, job, start, follower);
        if (ended === null) return;
        const key = episodeKey({ ...setup, ...episode });
        const reason = "crashed" in ended ? ended.crashed : ended.episode.error;
        if (reason !== undefined && !retried.has(key)) {
          retried.set(key, reason);
          schedule.again(job);
        } else follower.finished(job, ended, retried.get(key));
      }
    });
  }

  /** Ends all episodes that are played, without a result. */
  interrupt(): void {
    this.#isOver = true;
    for (const thread of this.#threads) thread.interrupt();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const thread of this.#threads) thread[Symbol.dispose]();
  }

  async #playOne(thread: number, job: Job, checked: Checked, follower: Follower): Promise<Ended | null> {
    const stepped = (steps: number): void => follower.stepped(job, steps);
    const { setup, episode } = job;
    let policy: Policy;
    try {
      policy = follower.policyFor(job);
    } catch (error) {
      policy = refusing(error); // as it would in use
    }
    try {
      return await this.#threads[thread].play(setup, episode, checked, policy, stepped);
    } catch (error) {
      if (this.#isOver) return null;
      this.#threads[thread][Symbol.dispose]();
      this.#threads[thread] = new PlayerThread(this.#setting);
      return { crashed: (error as Error).message };
    } finally {
      policy[Symbol.dispose]?.();
    }
  }

  /** Work for every thread; the first that fails ends it. */
  async #all(work: (thread: number) => Promise<void>): Promise<void> {
    await Promise.all(this.#threads.map((_thread, i) => work(i)));
  }
}

/** The policy of an episode that its source has none for, such as one with more words than it can read. */
function refusing(reason: unknown): Policy {
  const act = (): never => {
    throw reason;
  };
  return { name: "none", reset() {}, act };
}
