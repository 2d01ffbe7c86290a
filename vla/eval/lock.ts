import {
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** Who holds a lock, as its file says. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, which tells it from a later one of the same number. */
  readonly started: string;
}

const OURSELVES: Holder = {
  pid: process.pid,
  host: hostname(),
  started: new Date(Date.now() - 1000 * process.uptime()).toISOString(),
};

/**
 * The right to write a file, until this is disposed of or the process ends: `FILE.lock` beside it says who has it.
 * What a killed process has left is taken over.
 */
export class Lock implements Disposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
    process.on("exit", this.#release); // process.exit skips `using`
  }

  /** @throws Error when another run holds the file, or when nothing can be written into its folder. */
  static take(file: string): Lock {
    const path = `${realName(file)}.lock`;
    while (!create(path, file)) {
      const text = readHolder(path);
      if (text === null) continue; // released just now
      const holder = parseHolder(text);
      if (holder === null || isAlive(holder)) {
        const who = holder ? `process ${holder.pid} on ${holder.host} since ${holder.started}` : "unknown";
        throw new Error(
          `${file}: another run writes it (${who}): name another; if there is no such run, delete ${path}`,
        );
      }
      takeAway(path, text);
    }
    return new Lock(path);
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#release);
    this.#release();
  }

  readonly #release = (): void => rmSync(this.#path, { force: true });
}

/** Names of one file by way of links meet. */
function realName(file: string): string {
  if (existsSync(file)) return realpathSync(file);
  return existsSync(dirname(file)) ? join(realpathSync(dirname(file)), basename(file)) : file;
}

/** False when there is a lock already. */
function create(path: string, file: string): boolean {
  try {
    closeSync(openSync(path, "wx"));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    throw new Error(`${file}: cannot be written: ${message}`, { cause });
  }
  try {
    writeFileSync(path, JSON.stringify(OURSELVES));
    return true;
  } catch (cause) {
    rmSync(path); // ours, but empty
    throw new Error(`${file}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

function readHolder(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, started } = JSON.parse(text);
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, host: `${host}`, started: `${started}` } : null;
  } catch {
    return null;
  }
}

/** Of other machines nothing is known: their processes count as alive. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== OURSELVES.host) return true;
  if (pid === OURSELVES.pid) return started === OURSELVES.started;
  try {
    process.kill(pid, 0); // sends nothing
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes a lock that nobody holds any more, but none that another process has put in its place meanwhile. */
function takeAway(path: string, stale: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    if (readFileSync(aside, "utf8") !== stale) linkSync(aside, path);
  } catch (error) {
    // Another process was faster: it has taken the old lock away, or put its own in place.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}
