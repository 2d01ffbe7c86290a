import { Crew } from "../eval/crew.ts";
import { linesOf } from "../eval/ledger.ts";
import type { Setting } from "../eval/player.ts";
import type { RunInfo } from "../eval/results.ts";
import type { Job } from "../eval/schedule.ts";
import type { Policy } from "../policies/policy.ts";
import type { EpisodeRecord } from "./record.ts";

/** Who follows what is played. */
export interface Follower {
  policyFor(job: Job): Policy;
  /** Told after each control step. */
  stepped(job: Job, steps: number): void;
}

/** Threads that play whatever episodes come, each with a simulator of its own. */
export class Slots implements Disposable {
  readonly #run: RunInfo;
  readonly #follower: Follower;
  readonly #crews: Crew[];
  readonly #free: Crew[];

  constructor(run: RunInfo, setting: Setting, size: number, follower: Follower) {
    this.#run = run;
    this.#follower = follower;
    this.#crews = Array.from({ length: size }, () => new Crew(setting, 1));
    this.#free = [...this.#crews];
  }

  /**
   * Plays an episode as vla/eval.ts does. At most as many at the same time as there are slots. @returns null when
   * interrupted.
   */
  async play({ setup, episode }: Job): Promise<EpisodeRecord | null> {
    const crew = this.#free.pop()!;
    try {
      const alone = { ...setup, episodes: [episode] };
      let record: EpisodeRecord | null = null;
      const starts = await crew.check([alone], () => {});
      await crew.play([alone], starts, {
        policyFor: (job) => this.#follower.policyFor(job),
        stepped: (job, steps) => this.#follower.stepped(job, steps),
        finished: (job, ended, retried) => {
          record = linesOf(this.#run, job, ended, retried);
        },
      });
      return record;
    } finally {
      this.#free.push(crew);
    }
  }

  /** Ends all episodes that are played, without a result. */
  interrupt(): void {
    for (const crew of this.#crews) crew.interrupt();
  }

  [Symbol.dispose](): void {
    for (const crew of this.#crews) crew[Symbol.dispose]();
  }
}
