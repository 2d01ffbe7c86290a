import { existsSync } from "node:fs";
import { join } from "node:path";
import { FormatError } from "../../core/index.ts";
import { checkFields, objectOf, oneOf, type Rule, real, show } from "../check-config.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { Engine, Outcome, Results } from "../eval/results.ts";
import { MOST_TEXT_BYTES } from "../json-lines.ts";
import { readMetrics } from "../train/metrics.ts";
import {
  type Ended,
  endOf,
  readJson,
  readRecord,
  readSettings,
  readTiming,
  type TimingRecord,
} from "./record.ts";
import { type Run, runsOf, type Settings, type StageName } from "./runs.ts";

/** What a run of vla/train.ts was trained on, and how fast. */
export interface Training {
  readonly samples: number;
  /** Of updates alone, between those two lines of the metrics where it was fastest: other work may have run beside it. */
  readonly samplesPerSecond: number;
  /** Checksum of the encoder's weights. */
  readonly encoder: string;
  /** What tells the demonstrations from others, as JSON. */
  readonly data: string;
}

/** What is known of a run. */
export interface Found {
  readonly run: Run;
  /** How its stages ended that have done what they were to do. */
  readonly done: Readonly<Partial<Record<StageName, Ended>>>;
  /** What stages said that failed. */
  readonly failed: Readonly<Partial<Record<StageName, string>>>;
  readonly training: Training | null;
  readonly played: Readonly<Partial<Record<StageName, Results>>>;
}

/** What is known of all runs in a folder. */
export interface Findings {
  readonly settings: Settings;
  readonly runs: readonly Found[];
  readonly timing: TimingRecord | null;
}

/** Reads all result files in a folder; what has not been done is absent. @throws FormatError for a damaged file. */
export function collectFindings(folder: string): Findings {
  const settings = readSettings(folder);
  const runs = runsOf({ ...settings, out: folder }).map(find); // it may have been moved since
  for (const of of ["encoder", "data"] as const) refuseSeveral(of, runs);
  return { settings, runs, timing: readTiming(folder) };
}

/** What lies at a path may have changed from one run to the next: then they cannot be compared. */
function refuseSeveral(of: "encoder" | "data", runs: readonly Found[]): void {
  const trained = runs.filter(({ training }) => training !== null);
  const other = trained.find(({ training }) => training?.[of] !== trained[0].training?.[of]);
  if (other === undefined) return;
  throw new Error(
    `${other.run.name}: expected the ${of} that ${trained[0].run.name} was trained with, found another: ` +
      "delete one of the runs",
  );
}

function find(run: Run): Found {
  const record = readRecord(run);
  const done: Partial<Record<StageName, Ended>> = {};
  const failed: Partial<Record<StageName, string>> = {};
  const played: Partial<Record<StageName, Results>> = {};
  let training: Training | null = null;
  for (const stage of run.stages) {
    const ended = endOf(run, stage);
    if (ended === null) {
      const error = record[stage.name]?.error;
      if (error) failed[stage.name] = error;
      continue;
    }
    done[stage.name] = ended;
    if (stage.name === "train") training = readTraining(join(run.folder, "train"));
    else played[stage.name] = readResults(stage.file);
  }
  return { run, done, failed, training, played };
}

/** Of the folder of a run of vla/train.ts: what it follows from, and its metrics. */
function readTraining(folder: string): Training {
  const [metrics, config] = [join(folder, "metrics.jsonl"), join(folder, "config.json")];
  const lines = existsSync(metrics) ? readMetrics(metrics).filter(({ kind }) => kind === "train") : [];
  if (lines.length === 0) throw new Error(`${metrics}: expected a line of kind "train", found none`);
  const wrong = lines.flatMap((line, i) => checkFields(`line ${i + 1} of kind "train"`, line, LINE));
  if (wrong.length > 0) throw new Error(`${metrics}: ${wrong.join("; ")}`);
  const origin = readJson(config, MOST_CONFIG_BYTES) as { data: object; encoder: { weights: string } };
  wrong.push(...checkFields("config", origin, { data: objectOf({}), encoder: objectOf({ weights: text }) }));
  if (wrong.length > 0) throw new Error(`${config}: ${wrong.join("; ")}`);
  const of = (name: keyof typeof LINE): number => Math.max(...lines.map((line) => Number(line[name])));
  return {
    samples: of("samples"),
    samplesPerSecond: of("samplesPerSecond"),
    encoder: origin.encoder.weights,
    data: JSON.stringify(origin.data),
  };
}

/** What is taken from a line of metrics. */
const LINE = { samples: real(1, 1e12), samplesPerSecond: real(0, 1e12) };
const MOST_CONFIG_BYTES = 2 ** 20;
const text: Rule = (value) => (typeof value === "string" ? null : "a text");
const bool: Rule = (value) => (typeof value === "boolean" ? null : "true or false");
const OUTCOMES: readonly Outcome[] = ["success", "failure", "error"];
const ENGINE: Readonly<Record<keyof Engine, Rule>> = { node: text, mujoco: text, contacts: text, fma: bool };
const SAMPLING: Readonly<Record<keyof SamplingConfig, Rule>> = {
  temperature: real(0, 10),
  actionsPerQuery: real(1, 1e6),
};
/** As far as the tables go. */
const RESULTS: Readonly<Record<string, Rule>> = {
  suite: text,
  protocol: text,
  engine: objectOf(ENGINE),
  sampling: objectOf(SAMPLING),
  complete: (value) => (value === true ? null : "true"),
  tasks: (value) => (Array.isArray(value) && value.length > 0 ? null : "a list of tasks"),
};
const EPISODE = { outcome: oneOf(OUTCOMES) };

/** The results that an evaluation wrote. @throws FormatError, or Error with a line per fault, unless it is complete. */
function readResults(file: string): Results {
  const results = readJson(file, MOST_TEXT_BYTES) as Results;
  const wrong = checkFields("results", results, RESULTS);
  for (const [i, task] of (wrong.length === 0 ? results.tasks : []).entries()) {
    if (typeof task?.task !== "string" || !Array.isArray(task.episodes))
      throw new FormatError(`${file}, task ${i}`, "a name and episodes", show(task));
    task.episodes.forEach((episode, e) => {
      wrong.push(...checkFields(`${task.task}.episodes.${e}`, episode, EPISODE));
    });
  }
  if (wrong.length > 0) throw new Error(`${file}: ${wrong.slice(0, 5).join("; ")}`);
  return results;
}
