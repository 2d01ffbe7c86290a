import { setImmediate } from "node:timers/promises";
import { makeFolder, writeSafetensors } from "../../core/index.ts";
import { NonFiniteError, type Schedule, type StepResult } from "../../nn/index.ts";
import { Interrupt } from "../eval/interrupt.ts";
import { formatDuration, Progress } from "../eval/progress.ts";
import { Metrics } from "./metrics.ts";
import { RunFolder } from "./run-folder.ts";
import { type Position, restoreState, saveState, type Trained } from "./state.ts";

/** What an update tells, and how long it waited for its data, milliseconds. */
export interface Update extends StepResult {
  readonly waited: number;
}

/** What an evaluation found out: numbers for the metrics, and the one that says how good it is; larger is better. */
export interface Evaluation {
  readonly score: number;
  readonly values: Readonly<Record<string, number>>;
}

/** A training run: everything that makes one different from another. */
export interface TrainingRun extends Trained {
  /** The folder of the run, see `RunFolder`. */
  readonly folder: string;
  /** Everything that the run follows from, as plain JSON: another one is refused for the same folder. */
  readonly config: object;
  /** Updates from beginning to end. */
  readonly steps: number;
  readonly samplesPerStep: number;
  readonly schedule: Schedule;
  /**
   * Makes ready for the updates from number `step` on, what takes long included. A saved state is back in place by
   * then, so plans may be captured; and whatever is to be refused has been.
   */
  prepare?(step: number): Promise<void>;
  /**
   * Update number `step`, counted from 0, at learning rate `lr`. It must be a function of `step` and of what `Trained`
   * holds, nothing else. Called only after a saved state is back in place: plans may be captured in the first call.
   */
  update(step: number, lr: number): Update | Promise<Update>;
  /**
   * Measures the module, which holds its running averages meanwhile; null when interrupted. Must leave all as it was.
   */
  evaluate?(step: number, interrupted: () => boolean): Promise<Evaluation | null>;
  /** Writes a checkpoint of the module, which holds its running averages meanwhile, into an existing folder. */
  write(folder: string): void | Promise<void>;
  readonly every: {
    /** Updates per line of metrics; a part of the configuration, like the next. */
    readonly metrics: number;
    /** Updates per evaluation; there is one at the end in any case. */
    readonly evaluation: number;
    /** Minutes between two saves. A killed run goes on from the last one. */
    readonly save: number;
  };
  /** This process stops after so many minutes; the same command goes on. */
  readonly minutes?: number;
}

export type Ending = "done" | "interrupted" | "paused";

const START: Position = { step: 0, evaluated: true, best: null, seconds: 0, sums: {} };

/**
 * Trains until the last update, Ctrl-C, or the end of the minutes; then saves. A run that was killed at any point ends,
 * when it is started again, with the weights of one that never was, bit for bit.
 */
export async function train(run: TrainingRun): Promise<Ending> {
  using folder = RunFolder.open(run.folder, run.config);
  let at = restoreState(folder.state, run) ?? START;
  using metrics = new Metrics(folder, at);
  using interrupt = new Interrupt("saving the state");
  const progress = new Progress(1);
  const began = performance.now();
  const overtime = (): boolean =>
    performance.now() - began > 60_000 * (run.minutes ?? Number.POSITIVE_INFINITY);
  const isDue = (step: number): boolean =>
    run.evaluate !== undefined && (step === run.steps || (step > 0 && step % run.every.evaluation === 0));

  /** Nothing is left to do. */
  const isOver = (): boolean => at.step === run.steps && (at.evaluated || !isDue(at.step));

  let saved = performance.now();
  const save = async (): Promise<void> => {
    await saveState(folder.state, at, run);
    await withAverages(run, () => writeCheckpoint(run, folder.last));
    metrics.draw();
    saved = performance.now();
  };

  if (at.step < run.steps) await run.prepare?.(at.step);
  for (;;) {
    if (run.evaluate && isDue(at.step) && !at.evaluated) {
      progress.note(`step ${at.step}/${run.steps}  evaluating`);
      const found = await evaluate(run, at.step, () => interrupt.requested);
      if (found === null) break;
      metrics.add({ kind: "evaluation", step: at.step, ...found.values });
      const isBest = at.best === null || found.score > at.best;
      if (isBest) await withAverages(run, () => writeCheckpoint(run, folder.best));
      at = { ...at, evaluated: true, best: isBest ? found.score : at.best };
      await save();
    }
    if (at.step === run.steps || interrupt.requested || overtime()) break;

    const lr = run.schedule(at.step);
    const start = performance.now();
    const update = await updateOrTell(run, folder, at.step, lr);
    const step = at.step + 1;
    run.ema?.update(step);
    at = { ...at, step, evaluated: false, sums: add(at.sums, update, performance.now() - start) };
    if (step % run.every.metrics === 0 || step === run.steps) {
      const { updates, ms, waited, ...totals } = at.sums;
      at = { ...at, seconds: at.seconds + ms / 1000, sums: {} };
      metrics.add({
        kind: "train",
        step,
        samples: step * run.samplesPerStep,
        seconds: at.seconds,
        ...Object.fromEntries(Object.entries(totals).map(([name, total]) => [name, total / updates])),
        learningRate: lr,
        samplesPerSecond: (1000 * updates * run.samplesPerStep) / ms,
        dataShare: waited / ms,
      });
    }
    progress.note(describe(run, at, update, performance.now() - start));
    if (performance.now() - saved > 60_000 * run.every.save) await save();
    await setImmediate(); // lets signals in
  }
  progress.clear();
  await save();
  return isOver() ? "done" : interrupt.requested ? "interrupted" : "paused";
}

/** Sums over the updates since the last line of metrics, one more included. */
function add(
  sums: Position["sums"],
  { loss, parts, gradientNorm, waited }: Update,
  ms: number,
): Position["sums"] {
  const values = { updates: 1, ms, waited, loss, ...parts, ...(gradientNorm !== null && { gradientNorm }) };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, (sums[name] ?? 0) + value]));
}

function describe(
  { steps, samplesPerStep }: TrainingRun,
  { step }: Position,
  { loss }: Update,
  ms: number,
): string {
  const rate = Math.round((1000 * samplesPerStep) / ms);
  return `step ${step}/${steps}  loss ${loss.toPrecision(5)}  ${rate} samples/s  ETA ${formatDuration(ms * (steps - step))}`;
}

/** An update; the batch that brought numbers which are not finite is kept for a look. */
async function updateOrTell(run: TrainingRun, folder: RunFolder, step: number, lr: number): Promise<Update> {
  try {
    return await run.update(step, lr);
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const inputs = error.inputs.map((input, i) => [`input.${i}`, input] as const);
    writeSafetensors(folder.badBatch, new Map(inputs), { step: `${step}` });
    throw new Error(`step ${step}: ${error.message}; the batch is in ${folder.badBatch}`, { cause: error });
  }
}

async function evaluate(
  run: TrainingRun,
  step: number,
  interrupted: () => boolean,
): Promise<Evaluation | null> {
  return withAverages(run, async () => (await run.evaluate?.(step, interrupted)) ?? null);
}

async function withAverages<T>({ ema }: TrainingRun, body: () => Promise<T>): Promise<T> {
  ema?.swap();
  try {
    return await body();
  } finally {
    ema?.swap();
  }
}

async function writeCheckpoint(run: TrainingRun, folder: string): Promise<void> {
  makeFolder(folder);
  await run.write(folder);
}
