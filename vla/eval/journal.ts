import { accessSync, constants, existsSync, fstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isReplaceable, makeFolder, printable, readText, writeFileAtomic } from "../../core/index.ts";
import { differences, inOneLine } from "../differences.ts";
import { appendJsonLine, copyLines, MOST_TEXT_BYTES, mendLastLine, readJsonLines } from "../json-lines.ts";
import { Lock } from "./lock.ts";
import type { EpisodeLine, Results, TimingLine } from "./results.ts";

/** Where a run keeps what it found out; each file is optional. */
export interface Files {
  /** All results as JSON. */
  readonly json?: string;
  /** Folder of the run. */
  readonly out?: string;
  /** Whether to write pictures, and videos. */
  readonly frames?: boolean;
  readonly video?: boolean;
}

/** What a run keeps in its folder. */
export const NAMES = {
  manifest: "manifest.json",
  episodes: "episodes.jsonl",
  timings: "timings.jsonl",
} as const;

/** A line without what happened step by step. */
export type Kept<L> = Omit<L, "actions" | "trace">;

/**
 * Keeps finished episodes on disk, each before the next one starts: whatever ends the run takes none of them with it. A
 * file belongs to one run at a time. A folder says in `manifest.json` which run it is of: the same run goes on in it,
 * any other is refused, and so is a file of results whose episodes are not those of the folder.
 *
 * `L` is a finished episode as a line of `episodes.jsonl`, `T` how long it took, a line of `timings.jsonl`.
 */
export class Journal<L extends object = EpisodeLine, T extends object = TimingLine> implements Disposable {
  /** Whether stdout gets the results as JSON, and nothing else may be printed there. */
  readonly ownsStdout: boolean;
  readonly #files: Files;
  /** Results in a file are replaced after each episode; a pipe or a device gets them once, at the end. */
  readonly #replaces: boolean;
  readonly #locks: Lock[] = [];
  #manifest: { readonly path: string; readonly text: string } | null = null;
  #kept: readonly Kept<L>[] = [];
  #timings: readonly T[] = [];

  private constructor(files: Files) {
    this.#files = files;
    this.ownsStdout = files.json !== undefined && isStdout(files.json);
    this.#replaces = files.json !== undefined && isReplaceable(files.json);
  }

  /**
   * Makes the folder and takes the files; what stands in them stays. Call `begin` before the first episode, and dispose
   * of it when the run is over.
   *
   * @param manifest all that makes this run this one, as JSON can hold it.
   * @throws Error when one cannot be written, or belongs to another run: now, not after hours.
   */
  static open<L extends object = EpisodeLine, T extends object = TimingLine>(
    files: Files,
    manifest: object,
  ): Journal<L, T> {
    const journal = new Journal<L, T>(files);
    try {
      const goesOn = files.out !== undefined && journal.#takeFolder(files.out, manifest);
      if (files.json !== undefined) journal.#takeResults(files.json, goesOn);
      return journal;
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  /** The episodes that an earlier part of the run has finished. */
  get kept(): readonly Kept<L>[] {
    return this.#kept;
  }

  /** How long they took, and perhaps some that were not kept. */
  get timings(): readonly T[] {
    return this.#timings;
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0)) lock[Symbol.dispose]();
  }

  /** Writes the manifest: from now on the folder is this run's. */
  begin(): void {
    if (!this.#manifest) return;
    const { path, text } = this.#manifest;
    if (!existsSync(path)) naming(path, () => writeFileAtomic(path, text));
  }

  /** Writes the results so far; a reader of the file sees the old ones or the whole new ones, never a part. */
  save(results: Results): void {
    if (this.#replaces) this.#write(results);
  }

  /**
   * Keeps a finished episode in each file that takes it.
   * @throws Error that names the files which did not.
   */
  keep(line: L, timing: T, results: Results): void {
    const append = (): void => {
      // A timing without its episode does no harm.
      this.#append(NAMES.timings, timing);
      this.#append(NAMES.episodes, line);
    };
    const failures = [append, () => this.save(results)].flatMap((write) => {
      try {
        write();
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    });
    if (failures.length > 0) throw new Error(failures.join("; "));
  }

  /**
   * The run is over, however it ended.
   *
   * @param rank of a line among those of the whole run, when all are there: in that order they then stand in the
   *   file, so that it is the same whatever was played when and where.
   */
  finish(results: Results, rank?: (line: L) => number): void {
    if (this.#files.json !== undefined && !this.#replaces) this.#write(results);
    if (this.#files.out === undefined || rank === undefined) return;
    const path = join(this.#files.out, NAMES.episodes);
    const lines = Array.from(readJsonLines(path), ({ value, begin, end }) => ({
      at: rank(value as L),
      begin,
      end,
    }));
    if (lines.every(({ at }, i) => i === 0 || at > lines[i - 1].at)) return;
    lines.sort((a, b) => a.at - b.at);
    naming(path, () => writeFileAtomic(path, copyLines(lines, path)));
  }

  /** @returns whether a run goes on that has begun there. */
  #takeFolder(out: string, manifest: object): boolean {
    makeFolder(out);
    const [path, episodes, timings] = [NAMES.manifest, NAMES.episodes, NAMES.timings].map((name) =>
      join(out, name),
    );
    this.#locks.push(Lock.take(path));
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    const goesOn = existsSync(path);
    if (goesOn) refuseOther(path, text);
    else if (existsSync(episodes) && !readJsonLines(episodes).next().done) refuseUsed(episodes);
    if (this.#files.frames) takePictures(join(out, "frames"), goesOn);
    if (this.#files.video) takePictures(join(out, "videos"), goesOn);
    this.#kept = takeUp(episodes, withoutSteps<L>);
    this.#timings = takeUp(timings, (value) => value as T);
    this.#manifest = { path, text };
    return goesOn;
  }

  #takeResults(json: string, goesOn: boolean): void {
    if (!this.#replaces) {
      naming(json, () => accessSync(json, constants.W_OK));
    } else {
      this.#locks.push(Lock.take(json));
      if (!existsSync(json)) return;
      const results = readText(json, MOST_TEXT_BYTES);
      // What the folder goes on with, the results of its run so far are made of.
      if (!isWithoutEpisodes(results) && !(goesOn && isOf(results, this.#kept))) refuseUsed(json);
    }
  }

  #append(name: string, line: L | T): void {
    if (this.#files.out !== undefined) appendJsonLine(join(this.#files.out, name), line);
  }

  #write(results: Results): void {
    const path = this.#files.json as string;
    const text = `${JSON.stringify(results, null, 2)}\n`;
    // A stream waits for a slow reader of stdout; the file it is made of does not.
    if (!this.#replaces && this.ownsStdout) process.stdout.write(text);
    else naming(path, () => writeFileAtomic(path, text));
  }
}

/** Pictures of another run are refused. */
function takePictures(folder: string, goesOn: boolean): void {
  makeFolder(folder);
  naming(folder, () => accessSync(folder, constants.W_OK));
  naming(folder, () => goesOn || readdirSync(folder).length === 0 || refuseUsed(folder));
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

/** The lines of a file that is to be written on; what a kill has left of one is taken away. */
function takeUp<K>(path: string, keep: (value: unknown) => K): K[] {
  if (!existsSync(path)) return [];
  const lines = Array.from(readJsonLines(path), ({ value, begin }) => {
    if (typeof value !== "object" || value === null)
      throw new Error(
        `${path}: expected an object in each line, found ${printable(`${value}`, 60)} at byte ${begin}`,
      );
    return keep(value);
  });
  let torn = "";
  naming(path, () => {
    accessSync(path, constants.W_OK);
    torn = mendLastLine(path);
  });
  if (torn !== "") console.error(`${path}: removed an unfinished line: ${printable(torn, 60)}`);
  return lines;
}

/** What happened step by step is most of a line, and a run may have many. */
function withoutSteps<L>(line: unknown): Kept<L> {
  const { actions: _, trace: _trace, ...kept } = line as EpisodeLine;
  return kept as unknown as Kept<L>;
}

/** @throws Error that tells where the manifest of a folder differs from this run's. */
function refuseOther(path: string, ours: string): void {
  const theirs = readText(path, MOST_TEXT_BYTES);
  if (theirs === ours) return;
  let parsed: unknown;
  try {
    parsed = JSON.parse(theirs);
  } catch {
    throw new Error(`${path}: expected the manifest of a run, found ${printable(theirs, 60)}`);
  }
  const differing = inOneLine(differences(parsed, JSON.parse(ours)));
  throw new Error(
    `${path}: expected the manifest of this run, found that of another: ${differing}: name another folder`,
  );
}

/** Whether results are made of some of these lines. */
function isOf(text: string, lines: readonly object[]): boolean {
  const hashes = new Set(lines.map((line) => (line as Partial<EpisodeLine>).trajectoryHash));
  try {
    const { tasks } = JSON.parse(text) as Results;
    return tasks.every(({ episodes }) => episodes.every(({ trajectoryHash }) => hashes.has(trajectoryHash)));
  } catch {
    return false;
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
