import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { FormatError, makeFolder, readText, writeFileAtomic } from "../../core/index.ts";
import { checkFields, objectOf, orNull, type Rule, real, show, whole } from "../check-config.ts";
import type { Run, Settings, Stage, StageName } from "./runs.ts";

/** Where something was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
}

/** How a command ended. */
export interface Ended {
  /** As one types it. */
  readonly command: string;
  readonly machine: Machine;
  /** How long the process ran, from its start to its end, seconds. */
  readonly seconds: number;
  /** What it said when it failed; null when it did what it was to do. */
  readonly error: string | null;
}

/** `run.json` in the folder of a run: the stages that have ended. */
export type RunRecord = Readonly<Partial<Record<StageName, Ended>>>;

/** `decode.json`: what benchmarks/checkpoints.ts printed, a line per checkpoint. */
export interface TimingRecord extends Ended {
  readonly lines: readonly CheckpointTime[];
}

/** What this project's tables take from a line of benchmarks/checkpoints.ts. */
export interface CheckpointTime {
  /** The checkpoint's folder. */
  readonly who: string;
  /** Numbers that training changes. */
  readonly parameters: number;
  /** From features to a chunk of actions, the fastest of several rounds. */
  readonly min_ms: number;
}

export function thisMachine(): Machine {
  const all = cpus();
  return { cpu: all[0]?.model ?? "unknown", cores: all.length, node: process.versions.node };
}

const text: Rule = (value) => (typeof value === "string" ? null : "a text");
const MACHINE_RULES: Readonly<Record<keyof Machine, Rule>> = { cpu: text, cores: whole(0, 1e6), node: text };
const ENDED_RULES: Readonly<Record<keyof Ended, Rule>> = {
  command: text,
  machine: objectOf(MACHINE_RULES),
  seconds: real(0, 1e9),
  error: orNull(text),
};
const STAGE_RULES: Readonly<Record<StageName, Rule>> = {
  train: optional(ENDED_RULES),
  "temperature-1": optional(ENDED_RULES),
  "own-temperature": optional(ENDED_RULES),
};
const TIME_RULES: Readonly<Record<keyof CheckpointTime, Rule>> = {
  who: text,
  parameters: whole(0, 1e12),
  min_ms: real(0, 1e9),
};
const SETTINGS_RULES: Readonly<Record<keyof Settings, Rule>> = {
  out: text,
  data: text,
  encoder: text,
  steps: whole(1, 1e9),
  episodes: whole(1, 1e9),
  ablationEpisodes: whole(1, 1e9),
  threads: whole(1, 1e6),
};

function optional(rules: Readonly<Record<string, Rule>>): Rule {
  const rule = objectOf(rules);
  return (value) => (value === undefined ? null : rule(value));
}

const MOST_BYTES = 2 ** 20;
const settingsFile = (out: string): string => join(out, "experiments.json");
const timingFile = (out: string): string => join(out, "decode.json");
/** The file of a run's record. */
export const recordFile = (run: Run): string => join(run.folder, "run.json");

/** What the runs in a folder have in common. @throws FormatError where there are none. */
export const readSettings = (out: string): Settings =>
  readChecked(settingsFile(out), SETTINGS_RULES) as Settings;

/** Makes the folder, or takes up one of the same settings. Throws for one of others: their runs cannot be compared. */
export function openFolder(settings: Settings): void {
  const { out } = settings;
  makeFolder(out);
  const file = settingsFile(out);
  if (!existsSync(file)) writeFileAtomic(file, `${JSON.stringify(settings, null, 2)}\n`);
  const found = readSettings(out);
  const other = Object.keys(SETTINGS_RULES).find(
    (key) => found[key as keyof Settings] !== settings[key as keyof Settings],
  ) as keyof Settings | undefined;
  if (other !== undefined)
    throw new Error(
      `${out}: expected experiments with ${other} ${show(settings[other])}, found some with ${show(found[other])}: ` +
        "choose another folder, or delete this one",
    );
}

export function readRecord(run: Run): RunRecord {
  const file = recordFile(run);
  return existsSync(file) ? (readChecked(file, STAGE_RULES) as RunRecord) : {};
}

/** How a stage ended; null unless it was done, and what it made is there. */
export function endOf(run: Run, { name, file }: Stage): Ended | null {
  const ended = readRecord(run)[name];
  return ended && ended.error === null && existsSync(file) ? ended : null;
}

/** Adds how a stage ended. */
export function writeRecord(run: Run, stage: StageName, ended: Ended): void {
  writeFileAtomic(recordFile(run), `${JSON.stringify({ ...readRecord(run), [stage]: ended }, null, 2)}\n`);
}

/** Null where nothing was timed. */
export function readTiming(out: string): TimingRecord | null {
  const file = timingFile(out);
  if (!existsSync(file)) return null;
  const record = readChecked(file, ENDED_RULES) as TimingRecord;
  if (!Array.isArray(record.lines)) throw new FormatError(file, "lines", show(record.lines));
  const wrong = record.lines.flatMap((line, i) => checkFields(`lines.${i}`, line, TIME_RULES));
  if (wrong.length > 0) throw new Error(`${file}: ${wrong.join("; ")}`);
  return record;
}

export function writeTiming(out: string, record: TimingRecord): void {
  writeFileAtomic(timingFile(out), `${JSON.stringify(record, null, 2)}\n`);
}

/** Parses lines of JSON that a benchmark printed. */
export const parseTimes = (printed: string): CheckpointTime[] =>
  printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

function readChecked(file: string, rules: Readonly<Record<string, Rule>>): unknown {
  const value = readJson(file, MOST_BYTES);
  const wrong = checkFields("", value, rules);
  if (wrong.length > 0)
    throw new Error(`${file}: ${wrong.map((line) => line.replace(/^\./, "")).join("; ")}`);
  return value;
}

/** @throws FormatError for a file that cannot be read, or is no JSON. */
export function readJson(file: string, most: number): unknown {
  const content = readText(file, most);
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new FormatError(file, "JSON", (cause as Error).message);
  }
}
