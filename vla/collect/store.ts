import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, readText, writeFileAtomic } from "../../core/index.ts";

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
}

const SETTINGS = "collect.json";

/**
 * Where a collection keeps its files: `collect.json`, and `TASK_demo.hdf5` for each task that is done. Until then
 * `parts/TASK/START.hdf5` holds a success and `START.failed` tells of a failure, so that what was killed goes on.
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
    else if (readText(path, 2 ** 16) !== text)
      throw new Error(`collect: ${path} tells of other settings; choose another --out, or delete ${folder}`);
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

  /** Notes that the expert did not succeed at a start. */
  noteFailure(task: string, start: number): void {
    makeFolder(this.#parts(task));
    writeFileAtomic(join(this.#parts(task), `${start}.failed`), "");
  }

  /** Starts that were played: whether each succeeded. */
  played(task: string): Map<number, boolean> {
    const folder = this.#parts(task);
    if (!existsSync(folder)) return new Map();
    const results = readdirSync(folder).flatMap((name): [number, boolean][] => {
      const match = name.match(/^(\d+)\.(hdf5|failed)$/);
      return match ? [[Number(match[1]), match[2] === "hdf5"]] : [];
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
