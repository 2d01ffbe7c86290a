import { existsSync } from "node:fs";
import {
  FormatError,
  type HostTensor,
  lazyTensors,
  openSafetensors,
  printable,
  type Random,
  type RandomState,
  writeSafetensors,
} from "../../core/index.ts";
import type { AdamW, Ema, Module } from "../../nn/index.ts";
import { checkFields, flag, orNull, type Rule, real, whole } from "../check-config.ts";

/** How far a run is, as plain JSON. */
export interface Position {
  /** Updates done. */
  readonly step: number;
  /** The evaluation that is due after the last update is done as well. */
  readonly evaluated: boolean;
  /** The best score of an evaluation so far. */
  readonly best: number | null;
  /** Training time so far, evaluations not included. */
  readonly seconds: number;
  /** Sums over the updates since the last line of metrics, by name. */
  readonly sums: Readonly<Record<string, number>>;
}

/** What changes in the course of a run: all of it, and nothing else, is saved. */
export interface Trained {
  /** All that is trained, and the buffers that belong to it. */
  readonly module: Module;
  readonly optimizer: AdamW;
  readonly ema: Ema | null;
  /** Streams that an update draws from, by name. */
  readonly randoms: Readonly<Record<string, Random>>;
}

const KEY = "nina-ts";
const [WEIGHTS, MOMENTS, AVERAGES] = ["model.", "optimizer.", "ema."];

/**
 * Saves a run in ONE file, so that no crash can mix two of its states: the tensors under `model.`, `optimizer.` and
 * `ema.`, everything else as JSON among the file's metadata. The tensors may lie on any device.
 */
export async function saveState(path: string, position: Position, trained: Trained): Promise<void> {
  const { module, optimizer, ema, randoms } = trained;
  const tensors = new Map<string, HostTensor>();
  const add = (prefix: string, dict: ReadonlyMap<string, HostTensor>): void => {
    for (const [name, tensor] of dict) tensors.set(prefix + name, tensor);
  };
  add(WEIGHTS, await module.readStateDict());
  add(MOMENTS, await optimizer.readStateDict());
  if (ema) add(AVERAGES, await ema.readStateDict());
  const states = Object.fromEntries(Object.entries(randoms).map(([name, random]) => [name, random.state]));
  writeSafetensors(path, tensors, { [KEY]: JSON.stringify({ position, randoms: states }) });
}

/**
 * Puts a saved run back in place; null where none has been saved. What does not fit throws one error that names the
 * file.
 */
export function restoreState(path: string, { module, optimizer, ema, randoms }: Trained): Position | null {
  if (!existsSync(path)) return null;
  using file = openSafetensors(path);
  const saved = readSaved(path, file.metadata.get(KEY));
  const tensors = lazyTensors(file);
  const under = (prefix: string) =>
    new Map(
      [...tensors].flatMap(([name, tensor]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
      ),
    );
  try {
    module.load(under(WEIGHTS));
    optimizer.load(under(MOMENTS));
    ema?.load(under(AVERAGES));
    for (const [name, random] of Object.entries(randoms)) random.restore(saved.randoms[name]);
  } catch (cause) {
    const { message } = cause as Error;
    throw message.startsWith(path) ? cause : new Error(`${path}: ${printable(message, 1500)}`, { cause });
  }
  return saved.position;
}

const number: Rule = (value) => (Number.isFinite(value) ? null : "a number");
const numbers: Rule = (value) =>
  typeof value === "object" && value !== null && Object.values(value).every(Number.isFinite)
    ? null
    : "an object of numbers";

const POSITION: Readonly<Record<string, Rule>> = {
  step: whole(0, Number.MAX_SAFE_INTEGER),
  evaluated: flag,
  best: orNull(number),
  seconds: real(0, Number.MAX_VALUE),
  sums: numbers,
};

interface Saved {
  readonly position: Position;
  readonly randoms: Readonly<Record<string, RandomState>>;
}

function readSaved(path: string, text: string | undefined): Saved {
  let saved: Saved | null;
  try {
    saved = JSON.parse(text ?? "");
  } catch {
    throw new FormatError(path, "the state of a training run", "other tensors");
  }
  const wrong = checkFields("position", saved?.position, POSITION);
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong[0], 500)}`);
  return { position: saved!.position, randoms: Object(saved!.randoms) };
}
