import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, printable, readText, writeFileAtomic } from "../../core/index.ts";
import { differences, inOneLine } from "../differences.ts";
import type { Unrecorded } from "./record.ts";

/** What the recordings of a folder follow from. */
export interface CollectSettings {
  readonly suite: string;
  /** Successful episodes per task. */
  readonly episodes: number;
  /** Number of the first start that is tried. */
  readonly first: number;
  /** Side of the pictures, pixels. */
  readonly imageSize: number;
  /** Spread of the bursts, action units. */
  readonly noise: number;
  readonly seed: number;
  /** Random scenes in place of the expert's episodes. */
  readonly random: boolean;
  /** What drives before the expert takes over; absent where the expert drives from the start. */
  readonly policy?: {
    /** SHA-256 of the checkpoint's files. */
    readonly checkpoint: string;
    /** Probability that a chunk of actions is the policy's. */
    readonly share: number;
  };
}

const SETTINGS = "collect.json";

/**
 * Where a collection keeps its files: `collect.json`, and `TASK_demo.hdf5` for each task that is done. Until then
 * `parts/TASK/START.hdf5` holds a success, and `START.failed` or `START.solved` tells that there is nothing to record,
 * so that what was killed goes on.
 */
export class CollectStore {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder, or takes up one of the same settings. Throws for one of other settings. */
  static open(folder: string, settings: CollectSettings): CollectStore {
    makeFolder(folder);
    const path = join(folder, SETTINGS);
    const text = `${JSON.stringify(settings, null, 2)}\n`;
    if (!existsSync(path)) writeFileAtomic(path, text);
    else refuseOther(path, readText(path, 2 ** 16), text);
    return new CollectStore(folder);
  }

  /** The file of a task that is done. */
  demonstrations(task: string): string {
    return join(this.folder, `${task}_demo.hdf5`);
  }

  isDone(task: string): boolean {
    return existsSync(this.demonstrations(task));
  }

  /** The file for the success at a start. */
  part(task: string, start: number): string {
    return join(this.#parts(task), `${start}.hdf5`);
  }

  /** Notes that a start gave nothing to record. */
  noteUnrecorded(task: string, start: number, why: Unrecorded): void {
    makeFolder(this.#parts(task));
    writeFileAtomic(join(this.#parts(task), `${start}.${why}`), "");
  }

  /** Starts that were played: whether each was recorded. */
  played(task: string): Map<number, boolean> {
    return new Map([...this.#results(task)].map(([start, result]) => [start, result === "hdf5"]));
  }

  /** How many starts gave nothing to record for this reason. */
  unrecorded(task: string, why: Unrecorded): number {
    return [...this.#results(task).values()].filter((result) => result === why).length;
  }

  #results(task: string): Map<number, string> {
    const folder = this.#parts(task);
    if (!existsSync(folder)) return new Map();
    const results = readdirSync(folder).flatMap((name): [number, string][] => {
      const match = name.match(/^(\d+)\.(hdf5|failed|solved)$/);
      return match ? [[Number(match[1]), match[2]]] : [];
    });
    return new Map(results);
  }

  /** Forgets the parts of a task that is done. */
  dropParts(task: string): void {
    rmSync(this.#parts(task), { recursive: true, force: true });
    const all = join(this.folder, "parts");
    if (existsSync(all) && readdirSync(all).length === 0) rmSync(all, { recursive: true });
  }

  #parts(task: string): string {
    return join(this.folder, "parts", task);
  }
}

/** @throws Error that tells which settings of a folder are others than this collection's. */
function refuseOther(path: string, theirs: string, ours: string): void {
  if (theirs === ours) return;
  let settings: unknown;
  try {
    settings = JSON.parse(theirs);
  } catch (cause) {
    throw new Error(`${path}: expected the settings of a collection, found ${printable(theirs, 60)}`, {
      cause,
    });
  }
  throw new Error(
    `${path}: expected the settings of this collection, found others: ` +
      `${inOneLine(differences(settings, JSON.parse(ours)))}: choose another --out`,
  );
}
