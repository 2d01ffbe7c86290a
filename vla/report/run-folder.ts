import { existsSync } from "node:fs";
import { join } from "node:path";
import { printable } from "../../core/index.ts";
import { NAMES } from "../eval/journal.ts";
import { type Manifest, readManifest, tasksOf } from "../eval/manifest.ts";
import { type EpisodeLine, type EpisodeTiming, type TimingLine, UNTIMED } from "../eval/results.ts";
import { faultsOfEpisode, faultsOfManifest, faultsOfTiming } from "../eval/run-rules.ts";
import { type EpisodeId, episodeKey } from "../eval/setup.ts";
import { readJsonLines } from "../json-lines.ts";

/** A finished episode of a run: its line without the actions, which are most of it. */
export interface ReportedEpisode extends EpisodeId, Omit<EpisodeLine, "actions" | "perturb">, EpisodeTiming {
  /** Why it was played a second time, where it was. */
  readonly retried?: string;
}

/** What is in a run's folder so far. */
export interface RunFolder {
  readonly folder: string;
  readonly manifest: Manifest;
  /** In the order of the run. */
  readonly episodes: readonly ReportedEpisode[];
}

/**
 * Most episodes of a run that is reported: a million of what `vla/eval.ts` may be asked for is a mistake, or hostile.
 */
const MOST_EPISODES = 1e6;

/**
 * Reads a run's folder without taking it: the run may go on meanwhile.
 * @throws Error that names the file and the line which are not as a run writes them.
 */
export function readRunFolder(folder: string): RunFolder {
  const path = join(folder, NAMES.manifest);
  const manifest = readManifest(folder);
  refuse(path, faultsOfManifest(manifest));
  if (manifest.tasks.length * manifest.episodes > MOST_EPISODES)
    throw new Error(`${path}: expected at most ${MOST_EPISODES} episodes, found more`);
  const ranks = new Map<string, number>();
  for (const { task, perturb, episodes } of tasksOf(manifest))
    for (const { init } of episodes) ranks.set(episodeKey({ task, perturb, init }), ranks.size);
  if (ranks.size !== manifest.tasks.length * manifest.episodes)
    throw new Error(`${path}: expected each task and perturbation once, found one twice`);

  const timings = new Map<string, TimingLine>();
  for (const [timing, place] of linesOf(join(folder, NAMES.timings))) {
    refuse(place, faultsOfTiming(timing));
    timings.set(episodeKey(timing as TimingLine), timing as TimingLine);
  }

  const episodes = new Map<string, ReportedEpisode>();
  for (const [value, place] of linesOf(join(folder, NAMES.episodes))) {
    refuse(place, faultsOfEpisode(value));
    const { actions: _, perturb: _run, ...line } = value as EpisodeLine;
    const id = { task: line.task, perturb: line.perturbed?.levels, init: line.init };
    const key = episodeKey(id);
    if (!ranks.has(key) || episodes.has(key))
      throw new Error(
        `${place}: expected each episode of the run once, found ${printable(key)}${episodes.has(key) ? " twice" : ""}`,
      );
    const { policyMs, simMs, renderMs, controlHz, retried }: Partial<TimingLine> & EpisodeTiming =
      timings.get(key) ?? UNTIMED;
    const timing = { policyMs, simMs, renderMs, controlHz };
    episodes.set(key, { ...line, ...id, ...timing, ...(retried !== undefined && { retried }) });
  }
  const inOrder = [...episodes].sort(([a], [b]) => ranks.get(a)! - ranks.get(b)!);
  return { folder, manifest, episodes: inOrder.map(([, episode]) => episode) };
}

/** A run that has just begun has no episodes yet. */
function* linesOf(path: string): Generator<readonly [value: unknown, place: string]> {
  if (!existsSync(path)) return;
  let number = 0;
  for (const { value } of readJsonLines(path)) yield [value, `${path}, entry ${++number}`];
}

function refuse(place: string, wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(`${place}: ${wrong[0]}`);
}
