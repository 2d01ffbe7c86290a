import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkFields, oneOf, orNull, type Rule, whole } from "../check-config.ts";
import { NAMES } from "../eval/journal.ts";
import { type Manifest, readManifest, tasksOf } from "../eval/manifest.ts";
import { type EpisodeLine, type EpisodeTiming, type TimingLine, UNTIMED } from "../eval/results.ts";
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
  refuse(path, checkFields("manifest", manifest, MANIFEST));
  if (manifest.tasks.length * manifest.episodes > MOST_EPISODES)
    throw new Error(`${path}: expected at most ${MOST_EPISODES} episodes, found more`);
  const ranks = new Map<string, number>();
  for (const { task, perturb, episodes } of tasksOf(manifest))
    for (const { init } of episodes) ranks.set(episodeKey({ task, perturb, init }), ranks.size);
  if (ranks.size !== manifest.tasks.length * manifest.episodes)
    throw new Error(`${path}: expected each task and perturbation once, found one twice`);

  const timings = new Map<string, TimingLine>();
  for (const [timing, place] of linesOf(join(folder, NAMES.timings))) {
    refuse(place, checkFields("timing", timing, TIMING));
    timings.set(episodeKey(timing as TimingLine), timing as TimingLine);
  }

  const episodes = new Map<string, ReportedEpisode>();
  for (const [value, place] of linesOf(join(folder, NAMES.episodes))) {
    refuse(place, checkFields("episode", value, EPISODE));
    const { actions: _, perturb: _run, ...line } = value as EpisodeLine;
    const id = { task: line.task, perturb: line.perturbed?.levels, init: line.init };
    const key = episodeKey(id);
    if (!ranks.has(key) || episodes.has(key))
      throw new Error(
        `${place}: expected each episode of the run once, found ${key}${episodes.has(key) ? " twice" : ""}`,
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

/** Numbers of initial states, of steps and the like. */
const COUNT = whole(0, 2 ** 32);
const text: Rule = (value) => (typeof value === "string" ? null : "text");
const number: Rule = (value) => (Number.isFinite(value) ? null : "a number");
const fieldsOf =
  (fields: Readonly<Record<string, Rule>>): Rule =>
  (value) =>
    checkFields("", value, fields).length === 0 ? null : `an object of ${Object.keys(fields).join(", ")}`;
const manyOf =
  (rule: Rule): Rule =>
  (value) =>
    Array.isArray(value) && value.every((each) => rule(each) === null) ? null : `a list, each ${rule(null)}`;
const perhaps =
  (rule: Rule): Rule =>
  (value) =>
    value === undefined ? null : rule(value);

const span: Rule = (value) =>
  Array.isArray(value) && value.length === 2 && value.every((step) => COUNT(step) === null)
    ? null
    : "a first and a last step";

const MANIFEST: Readonly<Record<string, Rule>> = {
  version: text,
  policyDigest: orNull(text),
  maxSteps: COUNT,
  run: fieldsOf({
    suite: text,
    policy: text,
    protocol: text,
    seed: COUNT,
    cameraSize: COUNT,
    engine: fieldsOf({ node: text, mujoco: text, contacts: text }),
  }),
  protocol: fieldsOf({ name: text }),
  tasks: manyOf(fieldsOf({ task: text, instruction: text, perturb: perhaps(text), digest: text })),
  first: COUNT,
  episodes: COUNT,
};

const TIMING: Readonly<Record<string, Rule>> = {
  task: text,
  perturb: perhaps(text),
  init: COUNT,
  retried: perhaps(text),
  policyMs: orNull(number),
  simMs: orNull(number),
  renderMs: orNull(number),
  controlHz: orNull(number),
};

const EPISODE: Readonly<Record<string, Rule>> = {
  task: text,
  instruction: text,
  init: COUNT,
  steps: COUNT,
  trajectoryHash: text,
  policyCalls: COUNT,
  outcome: oneOf(["success", "failure", "error"]),
  error: perhaps(text),
  logProbs: perhaps(manyOf(number)),
  lostPremises: perhaps(manyOf(text)),
  perturbed: perhaps(fieldsOf({ levels: text })),
  trace: perhaps(
    fieldsOf({ gripper: manyOf(number), goal: manyOf(fieldsOf({ term: text, held: manyOf(span) })) }),
  ),
};
