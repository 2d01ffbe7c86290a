import { printable } from "../../core/index.ts";
import type { EpisodeResult, RunInfo, TaskResult } from "./results.ts";
import { type Column, renderTable } from "./table.ts";
import { wilsonInterval } from "./wilson.ts";

const columns: readonly Column[] = [
  { title: "task", align: "left" },
  { title: "episodes", align: "right" },
  { title: "successes", align: "right" },
  { title: "errors", align: "right" },
  { title: "rate [95 %]", align: "right" },
  { title: "mean steps", align: "right" },
  { title: "policy ms/call", align: "right" },
  { title: "sim ms/step", align: "right" },
  { title: "render ms/step", align: "right" },
];

/** The finished episodes of a run, task by task in the order they were opened. */
export class Tally {
  /** Episodes that the run is to have. */
  readonly planned: number;
  readonly #tasks: { task: string; instruction: string; episodes: EpisodeResult[] }[] = [];

  constructor(planned: number) {
    this.planned = planned;
  }

  open(task: string, instruction: string): void {
    this.#tasks.push({ task, instruction, episodes: [] });
  }

  /** Adds an episode to the task opened last. */
  add(episode: EpisodeResult): void {
    this.#tasks.at(-1)!.episodes.push(episode);
  }

  get tasks(): readonly TaskResult[] {
    return this.#tasks;
  }

  get complete(): boolean {
    return this.#episodes().length === this.planned;
  }

  get errors(): number {
    return this.#episodes().filter((episode) => episode.outcome === "error").length;
  }

  /** The table of results, and under it everything that the numbers depend on. */
  report(run: RunInfo): string {
    const all = this.#episodes();
    const rows = this.#tasks.map(({ task, episodes }) => [printable(task), ...summarise(episodes)]);
    const { node, mujoco, contacts, fma } = run.engine;
    const lines = [
      renderTable(columns, rows, ["all tasks", ...summarise(all)]),
      "",
      `suite ${printable(run.suite)}, policy ${printable(run.policy)}, protocol ${run.protocol}, seed ${run.seed}`,
      `node ${node}, mujoco ${mujoco}, contacts ${contacts}, ${fma ? "fused" : "separate"} multiply-add`,
    ];
    const { cameraSize, sampling } = run;
    const sampled = sampling
      ? `, sampling temperature ${sampling.temperature}, ${sampling.actionsPerQuery} actions per query`
      : "";
    lines.push(`pictures of ${cameraSize} x ${cameraSize}${sampled}`);
    if (run.untrained)
      lines.push("The policy is UNTRAINED (random weights): its rate says nothing about the method.");
    if (this.errors > 0) {
      lines.push(
        `${this.errors} of ${all.length} episodes ended in an error of the policy and are in no rate` +
          `${this.errors === all.length ? ": nothing was evaluated" : ""}. The first: ${this.#firstError()}`,
      );
    }
    if (!this.complete) lines.push(`The run broke off after ${all.length} of ${this.planned} episodes.`);
    return lines.join("\n");
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

/** The cells of one row after its name. An episode that ended in an error is counted, but is in no rate and no mean of steps. */
function summarise(episodes: readonly EpisodeResult[]): string[] {
  const scored = episodes.filter((episode) => episode.outcome !== "error");
  const successes = scored.filter((episode) => episode.outcome === "success").length;
  const [low, high] = wilsonInterval(successes, scored.length);
  const percent = (rate: number) => (100 * rate).toFixed(1);
  return [
    String(episodes.length),
    String(successes),
    String(episodes.length - scored.length),
    scored.length === 0 ? "-" : `${percent(successes / scored.length)} [${percent(low)}, ${percent(high)}]`,
    show(mean(scored.map((e) => [e.steps, 1])), 1),
    show(mean(episodes.map((e) => [e.policyMs ?? 0, e.policyCalls])), 2),
    show(mean(episodes.map((e) => [e.simMs, e.steps])), 2),
    show(mean(episodes.map((e) => [e.renderMs, e.steps])), 2),
  ];
}

/** Weighted mean of [value, weight] pairs; null when nothing weighs. */
function mean(pairs: readonly (readonly [value: number, weight: number])[]): number | null {
  const total = pairs.reduce((sum, [, weight]) => sum + weight, 0);
  return total === 0 ? null : pairs.reduce((sum, [value, weight]) => sum + value * weight, 0) / total;
}

const show = (value: number | null, digits: number) => (value === null ? "-" : value.toFixed(digits));
