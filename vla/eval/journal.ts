import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../core/index.ts";
import { FrameWriter } from "./frames.ts";
import type { EpisodeResult, Results, RunInfo } from "./results.ts";
import type { Watcher } from "./rollout.ts";

/** Where a run keeps what it found out; each file is optional. */
export interface Files {
  /** All results as JSON. */
  readonly json?: string;
  /** Folder for `episodes.jsonl` and frames. */
  readonly out?: string;
  /** Whether to write pictures. */
  readonly frames: boolean;
}

/** Keeps finished episodes on disk, each before the next one starts: whatever ends the run takes none of them with it. */
export class Journal {
  readonly #files: Files;
  readonly #run: RunInfo;

  private constructor(files: Files, run: RunInfo) {
    this.#files = files;
    this.#run = run;
  }

  /** Makes the folder and writes results without episodes: a path that cannot be written is refused now, not after hours. */
  static async open(files: Files, run: RunInfo): Promise<Journal> {
    if (files.out !== undefined) await mkdir(files.out, { recursive: true });
    const journal = new Journal(files, run);
    journal.save({ complete: false, tasks: [] });
    return journal;
  }

  /** Writes the results so far; a reader of the file sees the old ones or the whole new ones, never a part. */
  save({ complete, tasks }: Pick<Results, "complete" | "tasks">): void {
    if (this.#files.json === undefined) return;
    const results: Results = { ...this.#run, complete, tasks };
    writeFileAtomic(this.#files.json, `${JSON.stringify(results, null, 2)}\n`);
  }

  /**
   * Appends one finished episode as a line that stands for itself: with the run's settings, and with the actions (settle
   * steps not included), so that `--policy replay` can play it again.
   */
  async append(
    task: { readonly name: string; readonly instruction: string },
    episode: EpisodeResult,
    actions: readonly (readonly number[])[],
  ): Promise<void> {
    if (this.#files.out === undefined) return;
    const line = { ...this.#run, task: task.name, instruction: task.instruction, ...episode, actions };
    await appendFile(join(this.#files.out, "episodes.jsonl"), `${JSON.stringify(line)}\n`, { flush: true });
  }

  /** Takes the pictures of one episode; undefined when nobody asked for them. */
  async frames(task: string, init: number): Promise<Watcher["frame"]> {
    if (this.#files.out === undefined || !this.#files.frames) return undefined;
    const folder = join(this.#files.out, "frames", task, `init_${String(init).padStart(2, "0")}`);
    const writer = await FrameWriter.open(folder);
    return (step, seen) => writer.write(step, seen);
  }
}
