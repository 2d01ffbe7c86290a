import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Plan, Policy } from "../policy.ts";
import type { EpisodeKey, PolicySource } from "./source.ts";
import { stillPlan } from "./zero.ts";

/** The actions of one episode, settle steps not included, and what must be equal for them to mean the same again. */
export interface Recording {
  readonly suite: string;
  readonly task: string;
  readonly init: number;
  readonly seed: number;
  /** Null when the file does not say. */
  readonly protocol: string | null;
  readonly actions: readonly (readonly number[])[];
}

/**
 * Plays recorded actions: `FILE` holds one recording as JSON, an array of them, or one per line (the `episodes.jsonl`
 * of an earlier run). A recording is `{ suite, task, init, seed, actions: [[7 numbers], …] }`; the names `name_` and
 * `init_index` of scripted expert episodes stand for `task` and `init`. When a recording is over, the robot holds still.
 */
export async function replayPolicy(path: string): Promise<PolicySource> {
  const recordings = parseRecordings(await readFile(path, "utf8"), path);
  const name = `replay ${basename(path)}`;
  return {
    name,
    untrained: false,
    forEpisode: (episode) => player(name, find(recordings, episode, path), episode.protocol.actionsPerQuery),
  };
}

/** Plans just what will be executed before the next query, so that no action is lost or played twice. */
function player(name: string, { actions }: Recording, actionsPerQuery: number | null): Policy {
  let next = 0;
  return {
    name,
    reset() {
      next = 0;
    },
    act(): Plan {
      if (next >= actions.length) return stillPlan;
      const chunk = actions.slice(next, next + (actionsPerQuery ?? actions.length));
      next += chunk.length;
      return { actions: chunk };
    },
  };
}

/** The recording of this very episode; one that differs in what moves objects is refused. */
function find(recordings: readonly Recording[], episode: EpisodeKey, path: string): Recording {
  const found = recordings.find(
    (r) => r.suite === episode.suite && r.task === episode.task && r.init === episode.init,
  );
  if (!found) {
    const held = recordings.map((r) => `${r.suite}/${r.task} initial state ${r.init}`);
    throw new Error(
      `replay ${path}: no recording of ${episode.suite}/${episode.task} initial state ${episode.init}; the file holds ${held.join(", ")}`,
    );
  }
  if (found.seed !== episode.seed)
    throw new Error(
      `replay ${path}: recorded with seed ${found.seed}, the run has seed ${episode.seed}: fixtures would stand elsewhere`,
    );
  if (found.protocol !== null && found.protocol !== episode.protocol.name)
    throw new Error(
      `replay ${path}: recorded under protocol ${found.protocol}, the run has ${episode.protocol.name}`,
    );
  return found;
}

/** Reads and checks every recording of a file's text; `path` is for error messages. */
export function parseRecordings(text: string, path: string): Recording[] {
  const records = parseRecords(text, path);
  if (records.length === 0) throw new Error(`replay ${path}: expected recordings, found none`);
  return records.map((record, i) =>
    checkRecording(record, records.length > 1 ? `${path}, recording ${i}` : path),
  );
}

/** A file that is not one JSON value as a whole is JSON lines. */
function parseRecords(text: string, path: string): unknown[] {
  const whole = parseJson(text);
  if (whole !== undefined) return Array.isArray(whole) ? whole : [whole];
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const value = parseJson(line);
    if (value === undefined)
      throw new Error(`replay ${path}: expected JSON or one JSON value per line, line ${i + 1} is neither`);
    return [value];
  });
}

/** The value of a JSON text; undefined, which no JSON text means, when it is not one. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkRecording(record: unknown, where: string): Recording {
  const fail = (expected: string, found: unknown): never => {
    throw new Error(`replay ${where}: expected ${expected}, got ${JSON.stringify(found) ?? "nothing"}`);
  };
  if (typeof record !== "object" || record === null) return fail("a recording object", record);
  const fields = record as Readonly<Record<string, unknown>>;
  const { suite, task = fields.name_, init = fields.init_index, seed, protocol = null, actions } = fields;
  if (typeof suite !== "string") return fail("suite, a name", suite);
  if (typeof task !== "string") return fail("task, a name", task);
  if (!isIndex(init)) return fail("init, a whole number", init);
  if (!isIndex(seed)) return fail("seed, a whole number", seed);
  if (protocol !== null && typeof protocol !== "string") return fail("protocol, a name", protocol);
  if (!Array.isArray(actions) || actions.length === 0) return fail("actions, a list", actions);
  const bad = actions.findIndex((action) => !isAction(action));
  if (bad !== -1) return fail(`action ${bad} to be 7 finite numbers`, actions[bad]);
  return { suite, task, init, seed, protocol, actions };
}

const isIndex = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

const isAction = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 7 && value.every((v) => Number.isFinite(v));
