import { accessSync, constants, existsSync, fstatSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { isReplaceable, makeFolder, printable, readText, writeFileAtomic } from "../../core/index.ts";
import { appendJsonLine, MOST_TEXT_BYTES, splitLines } from "../json-lines.ts";
import { FrameWriter } from "./frames.ts";
import { Lock } from "./lock.ts";
import type { EpisodeLine, Results } from "./results.ts";
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

/**
 * Keeps finished episodes on disk, each before the next one starts: whatever ends the run takes none of them with it.
 * A file belongs to one run: what holds an episode already, or is written by another run, is refused.
 */
export class Journal implements Disposable {
  /** Whether stdout gets the results as JSON, and nothing else may be printed there. */
  readonly ownsStdout: boolean;
  readonly #files: Files;
  /** Results in a file are replaced after each episode; a pipe or a device gets them once, at the end. */
  readonly #replaces: boolean;
  readonly #locks: Lock[] = [];

  private constructor(files: Files) {
    this.#files = files;
    this.ownsStdout = files.json !== undefined && isStdout(files.json);
    this.#replaces = files.json !== undefined && isReplaceable(files.json);
  }

  /**
   * Makes the folder and takes the files; what stands in them stays. Dispose of it when the run is over.
   * @throws Error when one cannot be written, or belongs to another run: now, not after hours.
   */
  static open(files: Files): Journal {
    const journal = new Journal(files);
    try {
      if (files.out !== undefined) journal.#takeFolder(files.out);
      if (files.json !== undefined) journal.#takeResults(files.json);
      return journal;
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0)) lock[Symbol.dispose]();
  }

  /** Writes the results so far; a reader of the file sees the old ones or the whole new ones, never a part. */
  save(results: Results): void {
    if (this.#replaces) this.#write(results);
  }

  /**
   * Keeps a finished episode in each file that takes it.
   * @throws Error that names the files which did not.
   */
  keep(line: EpisodeLine, results: Results): void {
    const failures = [() => this.#append(line), () => this.save(results)].flatMap((write) => {
      try {
        write();
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    });
    if (failures.length > 0) throw new Error(failures.join("; "));
  }

  /** The run is over, however it ended. */
  finish(results: Results): void {
    if (this.#files.json !== undefined && !this.#replaces) this.#write(results);
  }

  /** Takes the pictures of one episode; undefined when nobody asked for them. */
  frames(task: string, init: number): Watcher["frame"] {
    if (this.#files.out === undefined || !this.#files.frames) return undefined;
    const folder = join(this.#files.out, "frames", task, `init_${String(init).padStart(2, "0")}`);
    const writer = FrameWriter.open(folder);
    return (step, seen) => writer.write(step, seen);
  }

  #takeFolder(out: string): void {
    makeFolder(out);
    const path = join(out, "episodes.jsonl");
    this.#locks.push(Lock.take(path));
    if (existsSync(path)) {
      const { lines, torn } = splitLines(readText(path, MOST_TEXT_BYTES));
      if (lines.some((line) => line.trim() !== "")) refuseUsed(path);
      naming(path, () => truncateSync(path));
      if (torn !== "") console.error(`${path}: removed an unfinished line: ${printable(torn, 60)}`);
    }
    if (!this.#files.frames) return;
    const frames = join(out, "frames");
    makeFolder(frames);
    naming(frames, () => accessSync(frames, constants.W_OK));
    naming(frames, () => readdirSync(frames).length === 0 || refuseUsed(frames));
  }

  #takeResults(json: string): void {
    if (!this.#replaces) {
      naming(json, () => accessSync(json, constants.W_OK));
    } else {
      this.#locks.push(Lock.take(json));
      if (existsSync(json) && !isWithoutEpisodes(readText(json, MOST_TEXT_BYTES))) refuseUsed(json);
    }
  }

  #append(line: EpisodeLine): void {
    if (this.#files.out !== undefined) appendJsonLine(join(this.#files.out, "episodes.jsonl"), line);
  }

  #write(results: Results): void {
    const path = this.#files.json as string;
    const text = `${JSON.stringify(results, null, 2)}\n`;
    // A stream waits for a slow reader of stdout; the file it is made of does not.
    if (!this.#replaces && this.ownsStdout) process.stdout.write(text);
    else naming(path, () => writeFileAtomic(path, text));
  }
}

function isStdout(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  const stdout = fstatSync(process.stdout.fd);
  return stat?.dev === stdout.dev && stat.ino === stdout.ino;
}

/** An error that does not say which file it is about is given its name. */
function naming(path: string, write: () => unknown): void {
  try {
    write();
  } catch (cause) {
    const { message } = cause as Error;
    throw message.startsWith(path) ? cause : new Error(`${path}: cannot be written: ${message}`, { cause });
  }
}

function refuseUsed(path: string): never {
  throw new Error(
    `${path}: expected nothing of an earlier run, found some: name another place, or delete it`,
  );
}

/** Empty, or what a run writes before its first episode. */
function isWithoutEpisodes(text: string): boolean {
  if (text.trim() === "") return true;
  try {
    const { tasks } = JSON.parse(text) as Results;
    return tasks.every(({ episodes }) => episodes.length === 0);
  } catch {
    return false;
  }
}
