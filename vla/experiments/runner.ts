import { rmSync } from "node:fs";
import { type Command, showCommand } from "../../cli/index.ts";
import { makeFolder } from "../../core/index.ts";
import { INTERRUPTED } from "../eval/interrupt.ts";
import { Lock } from "../eval/lock.ts";
import { formatDuration } from "../eval/progress.ts";
import {
  type Ended,
  endOf,
  parseTimes,
  readTiming,
  recordFile,
  thisMachine,
  writeRecord,
  writeTiming,
} from "./record.ts";
import { type Run, type Stage, timingOf } from "./runs.ts";

/** What a command left when it ended. */
export interface Left {
  /** Its exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export type Launch = (command: Command) => Promise<Left>;

/** Who wants to know how it goes. */
export interface Overseer {
  /** Asked before each command: whether to start no more. */
  interrupted(): boolean;
  /** A command begins. */
  begins(what: string): void;
  /** A command has ended, in a line. */
  ended(line: string): void;
}

/** Stages that failed; null when the runner was interrupted. */
export type Failures = { readonly failed: number } | null;

/**
 * Does what is left to do of runs, one command after another. What has been done is left alone; what was killed goes
 * on, or is done again; a run that fails is recorded as failed, and the others go on. Failed stages are tried again
 * next time.
 */
export async function runAll(runs: readonly Run[], launch: Launch, overseer: Overseer): Promise<Failures> {
  let failed = 0;
  for (const [i, run] of runs.entries()) {
    try {
      if (!(await finish(run, `${i + 1}/${runs.length} ${run.name}`, launch, overseer))) return null;
    } catch (error) {
      failed++;
      overseer.ended(`${run.name}: failed: ${(error as Error).message}`);
    }
  }
  return { failed };
}

/** False when interrupted. @throws Error for a stage that fails, or a run that another process is at. */
async function finish(run: Run, label: string, launch: Launch, overseer: Overseer): Promise<boolean> {
  if (run.stages.every((stage) => isDone(run, stage))) return true;
  makeFolder(run.folder);
  using _lock = Lock.take(recordFile(run));
  for (const stage of run.stages) {
    if (isDone(run, stage)) continue;
    if (overseer.interrupted()) return false;
    // Evaluations begin anew; training goes on from what it has saved.
    if (stage.name !== "train") rmSync(stage.file, { force: true });
    overseer.begins(`${label}, ${stage.name}`);
    const { ended, left } = await watch(launch, stage.command);
    if (left.code === INTERRUPTED || (ended.error !== null && overseer.interrupted())) return false;
    writeRecord(run, stage.name, ended);
    if (ended.error !== null) throw new Error(`${stage.name}: ${ended.error}`);
    overseer.ended(`${run.name}, ${stage.name}: ${formatDuration(1000 * ended.seconds)}`);
  }
  return true;
}

/** Whether a stage has been done. @throws Error when it was by another command: that is another experiment. */
function isDone(run: Run, stage: Stage): boolean {
  const ended = endOf(run, stage);
  const expected = showCommand(stage.command);
  if (ended !== null && ended.command !== expected)
    throw new Error(
      `${recordFile(run)}: expected ${stage.name} by ${expected}, found it done by ${ended.command}: ` +
        "delete the run, or choose another folder",
    );
  return ended !== null;
}

/** Times the checkpoints of the first seed side by side, unless just these have been timed. */
export async function timeDecoders(
  out: string,
  runs: readonly Run[],
  launch: Launch,
  overseer: Overseer,
): Promise<Failures> {
  const trained = runs.filter((run) => run.seed === runs[0].seed && isTrained(run));
  if (trained.length === 0) return { failed: 0 };
  const command = timingOf(trained);
  if (readTiming(out)?.command === showCommand(command)) return { failed: 0 };
  if (overseer.interrupted()) return null;
  overseer.begins("times of decoding");
  const { ended, left } = await watch(launch, command);
  if (ended.error !== null) {
    if (overseer.interrupted()) return null;
    overseer.ended(`times of decoding: failed: ${ended.error}`);
    return { failed: 1 };
  }
  writeTiming(out, { ...ended, lines: parseTimes(left.stdout) });
  overseer.ended(`times of decoding: ${formatDuration(1000 * ended.seconds)}`);
  return { failed: 0 };
}

function isTrained(run: Run): boolean {
  try {
    return isDone(run, run.stages[0]);
  } catch {
    return false; // told when it was to be done
  }
}

async function watch(launch: Launch, command: Command): Promise<{ ended: Ended; left: Left }> {
  const began = performance.now();
  const left = await launch(command);
  const seconds = (performance.now() - began) / 1000;
  const error = left.code === 0 ? null : lastWords(left);
  return { ended: { command: showCommand(command), machine: thisMachine(), seconds, error }, left };
}

/** The end of what a command that failed has said. */
function lastWords({ code, stdout, stderr }: Left): string {
  const ending = code === null ? "ended by a signal" : `exit code ${code}`;
  return [ending, (stderr.trim() || stdout.trim()).slice(-500)].filter((text) => text !== "").join(": ");
}
