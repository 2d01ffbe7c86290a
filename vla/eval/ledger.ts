import { printable } from "../../core/index.ts";
import { type Files, Journal, type Kept } from "./journal.ts";
import type { Manifest } from "./manifest.ts";
import type { Played } from "./player.ts";
import {
  type EpisodeLine,
  type EpisodeOutcome,
  type EpisodeTiming,
  type Results,
  type RunInfo,
  type TimingLine,
  UNTIMED,
} from "./results.ts";
import { faultsOfEpisode, faultsOfTiming } from "./run-rules.ts";
import type { Job } from "./schedule.ts";
import { type EpisodeId, episodeKey, type TaskSetup } from "./setup.ts";
import { Tally } from "./tally.ts";

/** An episode that was played to its end, or whose simulator broke. */
export type Ended = Played | { readonly crashed: string };

/** What a ledger needs to know of a task and its episodes. */
export interface ExpectedTask extends Pick<TaskSetup, "task" | "instruction" | "perturb"> {
  readonly episodes: readonly { readonly init: number }[];
}

/**
 * What of a run is planned, what is done, and what is still to be played; kept on disk as far as that was asked for.
 */
export class Ledger implements Disposable {
  readonly #run: RunInfo;
  readonly #journal: Journal;
  readonly #tally: Tally;
  /** Takes the episodes of a task, by that and its perturbations. */
  readonly #adders = new Map<string, (episode: EpisodeOutcome & EpisodeTiming) => void>();
  /** Place of each episode in the whole run. */
  readonly #rank = new Map<string, number>();
  readonly #done = new Set<string>();

  private constructor(run: RunInfo, setups: readonly ExpectedTask[], journal: Journal) {
    this.#run = run;
    this.#journal = journal;
    for (const setup of setups)
      for (const { init } of setup.episodes) this.#rank.set(keyOf(setup, init), this.#rank.size);
    this.#tally = new Tally(this.#rank.size);
    for (const setup of setups)
      this.#adders.set(groupOf(setup), this.#tally.open(setup.task, setup.instruction, setup.perturb));

    for (const timing of journal.timings) refuse("timings.jsonl", faultsOfTiming(timing));
    const timings = new Map(journal.timings.map((timing) => [episodeKey(timing), timing]));
    for (const line of journal.kept) {
      refuse("episodes.jsonl", faultsOfEpisode(line));
      const key = episodeKey(idOf(line));
      if (!this.#rank.has(key) || this.#done.has(key))
        throw new Error(
          `episodes.jsonl: expected each episode of the run once, ` +
            `found ${printable(key)}${this.#done.has(key) ? " twice" : ""}`,
        );
      this.#add(idOf(line), outcomeOf(line), timings.get(key) ?? UNTIMED);
    }
  }

  /** @throws Error when a file cannot be written, or is another run's. */
  static open(files: Files, manifest: Manifest, setups: readonly ExpectedTask[]): Ledger {
    const journal = Journal.open(files, manifest);
    try {
      return new Ledger(manifest.run, setups, journal);
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  /** What of these tasks is still to be played, without those that are done. */
  leftOf(setups: readonly TaskSetup[]): TaskSetup[] {
    return setups
      .map((setup) => ({
        ...setup,
        episodes: setup.episodes.filter(({ init }) => !this.#done.has(keyOf(setup, init))),
      }))
      .filter(({ episodes }) => episodes.length > 0);
  }

  /** Episodes that the run is to have. */
  get planned(): number {
    return this.#rank.size;
  }

  /** How many of them are there. */
  get done(): number {
    return this.#done.size;
  }

  get complete(): boolean {
    return this.#tally.complete;
  }

  get errors(): number {
    return this.#tally.errors;
  }

  /** The results so far, for readers. */
  get table(): string {
    return this.#tally.report(this.#run, true);
  }

  /** Nothing was refused: from now on the files are this run's. */
  begin(): void {
    this.#journal.begin();
    this.#journal.save(this.#results);
  }

  /** Keeps an episode. `retried`: why it was played twice, where it was. */
  finished(job: Job, ended: Ended, retried?: string): void {
    const { line, timing } = linesOf(this.#run, job, ended, retried);
    this.#add(idOf(line), outcomeOf(line), timing);
    this.#journal.keep(line, timing, this.#results);
  }

  /** Prints the table and closes the files: the run is over, however it ended. */
  close(): void {
    const show = this.#journal.ownsStdout ? console.error : console.log;
    show(this.#tally.report(this.#run));
    const rank = (line: EpisodeLine): number => this.#rank.get(episodeKey(idOf(line)))!;
    this.#journal.finish(this.#results, this.complete ? rank : undefined);
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
  }

  get #results(): Results {
    return { ...this.#run, complete: this.complete, tasks: this.#tally.tasks };
  }

  #add(
    id: EpisodeId,
    outcome: EpisodeOutcome,
    { policyMs, simMs, renderMs, controlHz }: EpisodeTiming,
  ): void {
    this.#done.add(episodeKey(id));
    this.#adders.get(groupOf(id))!({ ...outcome, policyMs, simMs, renderMs, controlHz });
  }
}

/** What is kept of an episode. `retried`: why it was played twice, where it was. */
export function linesOf(
  run: RunInfo,
  { setup, episode }: Job,
  ended: Ended,
  retried?: string,
): { line: EpisodeLine; timing: TimingLine } {
  const { outcome, timing, ...rest } =
    "crashed" in ended ? crashed(setup, episode, ended.crashed) : partsOf(ended);
  return {
    line: { ...run, task: setup.task, instruction: episode.instruction, ...outcome, ...rest },
    timing: {
      task: setup.task,
      ...(setup.perturb !== undefined && { perturb: setup.perturb }),
      init: episode.init,
      ...timing,
      ...(retried !== undefined && { retried }),
    },
  };
}

function refuse(file: string, wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(`${file}: ${wrong[0]}`);
}

const groupOf = ({ task, perturb = "none" }: Omit<EpisodeId, "init">): string =>
  JSON.stringify([task, perturb]);
const keyOf = ({ task, perturb }: ExpectedTask, init: number): string => episodeKey({ task, perturb, init });

/** The line's `perturb` is that of the run, which has none where it plays several. */
const idOf = ({ task, perturbed, init }: Kept<EpisodeLine>): EpisodeId => ({
  task,
  perturb: perturbed?.levels,
  init,
});

function partsOf({ episode, timing, actions, trace }: Played) {
  return { outcome: episode, timing, actions, trace };
}

function crashed({ perturb }: TaskSetup, { init, policySeed }: Job["episode"], error: string) {
  const outcome: EpisodeOutcome = {
    init,
    policySeed,
    outcome: "error",
    error,
    steps: 0,
    trajectoryHash: "",
    policyCalls: 0,
    ...(perturb !== undefined && { perturbed: { levels: perturb } }),
  };
  return { outcome, timing: UNTIMED, actions: [] };
}

/** What of a line is the episode's own. */
function outcomeOf(line: Kept<EpisodeLine>): EpisodeOutcome {
  const { init, policySeed, outcome, error, steps, trajectoryHash, policyCalls } = line;
  const { lostPremises, logProbs, swapped, perturbed } = line;
  return {
    init,
    policySeed,
    outcome,
    ...(error !== undefined && { error }),
    steps,
    trajectoryHash,
    policyCalls,
    ...(logProbs && { logProbs }),
    ...(lostPremises && { lostPremises }),
    ...(swapped && { swapped }),
    ...(perturbed && { perturbed }),
  };
}
