import { printable } from "../../core/index.ts";
import type { DeviceInfo } from "../device-info.ts";
import type { EpisodeResult, RunInfo, TaskResult } from "./results.ts";
import { robustnessTable } from "./robustness.ts";
import { type Column, renderTable } from "./table.ts";
import { rateOf } from "./wilson.ts";

/** Of plain runs, and of those with swapped words: how often the goal held that was told, how often the start's own. */
const columnsOf = ({ swapWords }: RunInfo): readonly Column[] => [
  { title: "task", align: "left" },
  ...(swapWords
    ? ["episodes", "errors", "as told [95 %]", "not as told [95 %]"]
    : ["episodes", "successes", "errors", "rate [95 %]"]
  )
    .concat(["mean steps", "policy ms/call", "sim ms/step", "render ms/step", "control Hz"])
    .map((title) => ({ title, align: "right" }) as const),
];

/** The finished episodes of a run, task by task in the order in which these were opened. */
export class Tally {
  /** Episodes that the run is to have. */
  readonly planned: number;
  readonly #tasks: (Omit<TaskResult, "episodes"> & { readonly episodes: EpisodeResult[] })[] = [];

  constructor(planned: number) {
    this.planned = planned;
  }

  /**
   * @param perturb how the episodes are made harder, where they are.
   * @returns takes the episodes of the task, which stand in the order of their initial states.
   */
  open(task: string, instruction: string, perturb?: string): (episode: EpisodeResult) => void {
    const episodes: EpisodeResult[] = [];
    this.#tasks.push({ task, instruction, ...(perturb !== undefined && { perturb }), episodes });
    return (episode) => {
      const after = episodes.findIndex(({ init }) => init > episode.init);
      episodes.splice(after < 0 ? episodes.length : after, 0, episode);
    };
  }

  get tasks(): readonly TaskResult[] {
    return this.#tasks;
  }

  /** Episodes that are there. */
  get done(): number {
    return this.#episodes().length;
  }

  get complete(): boolean {
    return this.done === this.planned;
  }

  get errors(): number {
    return this.#episodes().filter((episode) => episode.outcome === "error").length;
  }

  /**
   * The table of results, and under it everything that the numbers depend on.
   *
   * @param goesOn whether episodes that are not there may still come.
   */
  report(run: RunInfo, goesOn = false): string {
    const all = this.#episodes();
    const cells = (episodes: readonly EpisodeResult[]) => summarise(episodes, run.swapWords);
    const rows = this.#tasks.map(({ task, episodes }) => [printable(task), ...cells(episodes)]);
    const { node, mujoco, contacts, fma } = run.engine;
    const lines = [
      run.robustness === undefined
        ? renderTable(columnsOf(run), rows, ["all tasks", ...cells(all)])
        : robustnessTable(this.#tasks),
      "",
      `suite ${printable(run.suite)}, policy ${printable(run.policy)}, protocol ${run.protocol}, seed ${run.seed}`,
      `node ${node}, mujoco ${mujoco}, contacts ${contacts}, ${fma ? "fused" : "separate"} multiply-add`,
    ];
    if (run.perturb !== undefined) lines.push(`made harder: ${run.perturb} (docs/robustness.md)`);
    const { cameraSize, sampling } = run;
    const sampled = sampling
      ? `, sampling temperature ${sampling.temperature}, ${sampling.actionsPerQuery} actions per query`
      : "";
    lines.push(`pictures of ${cameraSize} x ${cameraSize}${sampled}`);
    if (run.overlap > 0)
      lines.push(
        `${run.overlap} actions of each chunk play while the next is made, and its first ${run.overlap} are left out`,
      );
    if (run.device)
      lines.push(
        `device ${describeDevice(run.device)}${run.weights ? `, encoder weights in ${run.weights}` : ""}`,
      );
    if (run.swapWords)
      lines.push(
        "Words are swapped: each start was played with those of another task of its scene. As told: that task's goal",
        "came to hold. Not as told: that of the task in the table did at some step, of which nothing was said.",
      );
    lines.push(...this.#lostPremises());
    if (run.untrained)
      lines.push("The policy is UNTRAINED (random weights): its rate says nothing about the method.");
    if (this.errors > 0) {
      lines.push(
        `${this.errors} of ${all.length} episodes ended in an error and are in no rate` +
          `${this.errors === all.length ? ": nothing was evaluated" : ""}. The first: ${this.#firstError()}`,
      );
    }
    if (!this.complete && !goesOn)
      lines.push(`The run broke off after ${all.length} of ${this.planned} episodes.`);
    return lines.join("\n");
  }

  /** A line for each task whose starts are not what it says. */
  #lostPremises(): string[] {
    return this.#tasks.flatMap(({ task, episodes }) => {
      const spoilt = episodes.filter(({ lostPremises }) => lostPremises !== undefined);
      if (spoilt.length === 0) return [];
      const counts = new Map<string, number>();
      for (const term of spoilt.flatMap(({ lostPremises = [] }) => lostPremises))
        counts.set(term, (counts.get(term) ?? 0) + 1);
      const terms = [...counts].map(([term, count]) => `(${printable(term)}) in ${count}`);
      const starts = `${spoilt.length} of ${episodes.length} starts`;
      return [`PREMISES LOST: ${printable(task)}: ${starts} are not as the task says: ${terms.join(", ")}`];
    });
  }

  #firstError(): string {
    const errors = this.#tasks.flatMap(({ task, episodes }) =>
      episodes.flatMap(({ init, error }) => (error === undefined ? [] : [`${task} ${init}, ${error}`])),
    );
    return printable(errors[0]);
  }

  #episodes(): EpisodeResult[] {
    return this.#tasks.flatMap((task) => task.episodes);
  }
}

const describeDevice = ({ name, driver, software }: DeviceInfo): string =>
  driver === undefined ? name : `${name}: ${printable(driver)}${software ? ", a software driver" : ""}`;

/**
 * The cells of one row after its name. An episode that ended in an error is counted, but is in no rate and no mean of
 * steps.
 */
function summarise(episodes: readonly EpisodeResult[], swapWords: boolean): string[] {
  const scored = episodes.filter((episode) => episode.outcome !== "error");
  const successes = scored.filter((episode) => episode.outcome === "success").length;
  const errors = String(episodes.length - scored.length);
  const rate = rateOf(successes, scored.length);
  const otherwise = scored.filter((episode) => episode.swapped?.otherGoal).length;
  return [
    String(episodes.length),
    ...(swapWords ? [errors, rate, rateOf(otherwise, scored.length)] : [String(successes), errors, rate]),
    show(mean(scored.map((e) => [e.steps, 1])), 1),
    show(mean(episodes.map((e) => [e.policyMs, e.policyCalls])), 2),
    show(mean(episodes.map((e) => [e.simMs, e.steps])), 2),
    show(mean(episodes.map((e) => [e.renderMs, e.steps])), 2),
    show(frequencyOf(episodes), 1),
  ];
}

/** Weighted mean of [value, weight] pairs, those without a value left out; null when nothing weighs. */
function mean(pairs: readonly (readonly [value: number | null, weight: number])[]): number | null {
  const known = pairs.filter(([value]) => value !== null) as [value: number, weight: number][];
  const total = known.reduce((sum, [, weight]) => sum + weight, 0);
  return total === 0 ? null : known.reduce((sum, [value, weight]) => sum + value * weight, 0) / total;
}

/** Control steps per second of all episodes together. */
function frequencyOf(episodes: readonly EpisodeResult[]): number | null {
  const seconds = mean(episodes.map(({ controlHz, steps }) => [controlHz && 1 / controlHz, steps]));
  return seconds === null ? null : 1 / seconds;
}

const show = (value: number | null, digits: number) => (value === null ? "-" : value.toFixed(digits));
