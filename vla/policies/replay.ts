import { basename } from "node:path";
import { FormatError, printable, readText } from "../../core/index.ts";
import { fileDigest } from "../file-digest.ts";
import { MOST_TEXT_BYTES, splitLines } from "../json-lines.ts";
import type { ActionChunk, Policy } from "./policy.ts";
import type { EpisodeKey, PolicySource } from "./source.ts";
import { stillChunk } from "./zero.ts";

/** The actions of one episode, settle steps not included, and what must be equal for them to mean the same again. */
export interface Recording {
  readonly suite: string;
  readonly task: string;
  /** The task whose words and goal it was played with; the same unless the recording says so. */
  readonly told: string;
  readonly init: number;
  readonly seed: number;
  /** These three: null when the file does not say. */
  readonly protocol: string | null;
  readonly contacts: string | null;
  readonly mujoco: string | null;
  /** How the episode was made harder, "none" unless the recording says so. */
  readonly perturb: string;
  /** None where the policy broke before its first action. */
  readonly actions: readonly (readonly number[])[];
}

/**
 * Plays recorded actions: `FILE` holds one recording as JSON, an array of them, or one per line (the `episodes.jsonl`
 * of an earlier run). A recording is `{ suite, task, init, seed, actions: [[7 numbers], …] }`, as a rule with
 * `protocol` and `engine: { contacts, mujoco }`, and with `swapped: { told }` where it was given the words of another
 * task and `perturbed: { levels }` where it was made harder; the names `name_` and `init_index` of scripted expert
 * episodes stand for `task` and `init`. When a recording is over, the robot holds still.
 */
export function replayPolicy(path: string): PolicySource {
  const { recordings, torn } = parseRecordings(readText(path, MOST_TEXT_BYTES), path);
  if (torn !== "") console.error(`replay ${path}: left out an unfinished last line: ${printable(torn, 60)}`);
  const name = `replay ${basename(path)}`;
  return {
    name,
    digest: fileDigest(path),
    untrained: false,
    cameraSize: null,
    hasDensity: false,
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
    act(): ActionChunk {
      if (next >= actions.length) return stillChunk;
      const chunk = actions.slice(next, next + (actionsPerQuery ?? actions.length));
      next += chunk.length;
      return { actions: chunk };
    },
  };
}

/** The recording of this very episode; what differs in anything that moves objects is another one. */
function find(recordings: readonly Recording[], episode: EpisodeKey, path: string): Recording {
  const nameOf = ({ suite, task, init }: Pick<Recording, "suite" | "task" | "init">): string =>
    `${suite}/${task} initial state ${init}`;
  const wanted = nameOf(episode);
  const fail = (expected: string, found: string): never => {
    throw new FormatError(`replay ${path}`, expected, found);
  };

  const same = recordings.filter((recording) => nameOf(recording) === wanted);
  if (same.length === 0) fail(`a recording of ${wanted}`, someOf(recordings.map(nameOf)));

  const fitting = same.filter((recording) => differences(recording, episode).length === 0);
  if (fitting.length === 0) {
    const found = same.map((recording) => differences(recording, episode).map(([found]) => found));
    const run = differences(same[0], episode).map(([, run]) => run);
    fail(`a recording of ${wanted} with ${run.join(", ")}`, someOf(found.map((words) => words.join(", "))));
  }

  const playable = fitting.filter(({ actions }) => actions.length > 0);
  if (playable.length === 0) fail(`actions of ${wanted}`, "an episode that ended before its first action");
  const versions = new Set(playable.map(({ actions }) => JSON.stringify(actions)));
  if (versions.size > 1) fail(`one recording of ${wanted}`, `${versions.size} that differ`);
  return playable[0];
}

/**
 * In what a recording and a run differ, in words: as recorded, as it runs. What was not recorded differs in nothing.
 */
function differences(recording: Recording, episode: EpisodeKey): [recorded: string, run: string][] {
  const pairs = [
    ["words of", recording.told, episode.told],
    ["seed", recording.seed, episode.seed],
    ["protocol", recording.protocol, episode.protocol.name],
    ["contacts", recording.contacts, episode.contacts],
    ["mujoco", recording.mujoco, episode.mujoco],
    ["perturbations", recording.perturb, episode.perturb ?? "none"],
  ] as const;
  return pairs.flatMap(([what, recorded, run]) =>
    recorded === null || recorded === run ? [] : [[`${what} ${recorded}`, `${what} ${run}`]],
  );
}

/** The first of the different ones among some words. */
function someOf(words: readonly string[]): string {
  const different = [...new Set(words)];
  const more = different.length > 3 ? `, and ${different.length - 3} more` : "";
  return different.slice(0, 3).join(", ") + more;
}

/**
 * Reads and checks every recording of a file's text, but for a last line that is `torn`; `path` is for error messages.
 */
export function parseRecordings(text: string, path: string): { recordings: Recording[]; torn: string } {
  const { records, torn } = parseRecords(text, path);
  if (records.length === 0)
    throw new FormatError(`replay ${path}`, "recordings", torn === "" ? "none" : "an unfinished one");
  const recordings = records.map((record, i) =>
    checkRecording(record, records.length > 1 ? `replay ${path}, recording ${i}` : `replay ${path}`),
  );
  return { recordings, torn };
}

/** A file that is not one JSON value as a whole is JSON lines. */
function parseRecords(text: string, path: string): { records: unknown[]; torn: string } {
  const whole = parseJson(text);
  if (whole !== undefined) return { records: Array.isArray(whole) ? whole : [whole], torn: "" };
  const { lines, torn } = splitLines(text);
  const records = lines.flatMap((line, i) => {
    if (line.trim() === "") return [];
    const value = parseJson(line);
    if (value === undefined)
      throw new FormatError(`replay ${path}, line ${i + 1}`, "JSON, in it or the whole file", line);
    return [value];
  });
  return { records, torn };
}

/** The value of a JSON text; undefined, which no JSON text means, when it is not one. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkRecording(record: unknown, who: string): Recording {
  const fail = (expected: string, found: unknown): never => {
    throw new FormatError(who, expected, describe(found));
  };
  const fields = asObject(record) ?? fail("a recording object", record);
  const { suite, task = fields.name_, init = fields.init_index, seed, protocol = null, actions } = fields;
  const { contacts = null, mujoco = null } = asObject(fields.engine) ?? {};
  const { told = task } = asObject(fields.swapped) ?? {};
  const { levels: perturb = "none" } = asObject(fields.perturbed) ?? {};
  if (typeof suite !== "string") return fail("suite, a name", suite);
  if (typeof task !== "string") return fail("task, a name", task);
  if (typeof told !== "string") return fail("swapped.told, a name", told);
  if (typeof perturb !== "string") return fail("perturbed.levels, words", perturb);
  if (!isIndex(init)) return fail("init, a whole number", init);
  if (!isIndex(seed)) return fail("seed, a whole number", seed);
  if (!isNameOrNull(protocol)) return fail("protocol, a name", protocol);
  if (!isNameOrNull(contacts)) return fail("contacts, a name", contacts);
  if (!isNameOrNull(mujoco)) return fail("mujoco, a version", mujoco);
  if (!Array.isArray(actions)) return fail("actions, a list", actions);
  const bad = actions.findIndex((action) => !isAction(action));
  if (bad !== -1) return fail(`action ${bad} to be 7 finite numbers`, actions[bad]);
  return { suite, task, told, init, seed, protocol, contacts, mujoco, perturb, actions };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}

const isNameOrNull = (value: unknown): value is string | null => value === null || typeof value === "string";

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isAction = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 7 && value.every((v) => Number.isFinite(v));

/** Lists and objects by their kind alone: a file's may be of any size and depth. */
function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : JSON.stringify(value);
}
