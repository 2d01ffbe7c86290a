/** A reader in a process of its own, watched from outside: what hangs, grows or dies is ended, and the input known. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LIMITS, type Limits, type Verdict } from "./judge.ts";
import type { Input } from "./reader.ts";
import type { Current, Failure, Order, Report } from "./worker.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));

/**
 * A worker is ended after a silence this many times as long as an input may take: what ends by itself before is judged
 * by the worker, which knows how much of that time it had the processor.
 */
const PATIENCE = 2.5;
/** To load a reader and to prepare its folder, milliseconds. */
const START = 120_000;
const WATCH = 50;
/** Room for the reader's code beside what inputs may take, bytes. */
const BASE = 400 * 2 ** 20;

export class Session implements Disposable {
  readonly #module: string;
  readonly #limits: Limits;
  readonly #scratch = mkdtempSync(join(tmpdir(), "fuzz-"));
  #child: ChildProcess | null = null;

  /** @param module address of the reader's module */
  constructor(module: string, limits: Limits = LIMITS) {
    process.on("exit", this.#end);
    this.#module = module;
    this.#limits = limits;
  }

  /** Starts the process, which happens by itself at the first order. */
  async start(): Promise<void> {
    this.#child ??= await this.#fork();
  }

  /** Reads one input. */
  async judge(input: Input): Promise<Verdict> {
    const last = await this.#run({ kind: "judge", input }, () => {});
    return (last as Report & { kind: "verdict" | "failed" }).verdict;
  }

  /** Has the process mutate and judge until it is done; the failure that ended it before, else null. */
  async fuzz(order: Order & { kind: "fuzz" }, hear: (report: Report) => void): Promise<Failure | null> {
    const last = await this.#run(order, hear);
    return last.kind === "failed" ? last : null;
  }

  /** Ends the process: the next order goes to a fresh one. */
  stop(): void {
    this.#child?.removeAllListeners().kill("SIGKILL");
    this.#child = null;
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#end);
    this.#end();
  }

  /** Also when this process is told to end. */
  readonly #end = (): void => {
    this.stop();
    rmSync(this.#scratch, { recursive: true, force: true });
  };

  get #folder(): string {
    return join(this.#scratch, "files");
  }

  get #current(): string {
    return join(this.#scratch, "current");
  }

  /** Gives an order; resolves with the last report on it, which is a failure where the process did not survive. */
  async #run(order: Order, hear: (report: Report) => void): Promise<Report> {
    await this.start();
    const child = this.#child as ChildProcess;
    let heard = Date.now();
    let size = rss(child);
    let stderr = "";
    let reason: string | null = null;
    child.stderr?.removeAllListeners("data").on("data", (text) => {
      stderr = (stderr + text).slice(-4000);
    });
    const { milliseconds, bytes } = this.#limits;
    const watch = setInterval(() => {
      if (Date.now() - heard > PATIENCE * milliseconds)
        reason = `no answer after ${PATIENCE * milliseconds} ms`;
      else if (rss(child) - size > 1.2 * bytes) reason = `grew by more than ${bytes >> 20} MB`;
      if (reason !== null) child.kill("SIGKILL");
    }, WATCH);
    try {
      return await new Promise((resolve, reject) => {
        child.removeAllListeners("message").removeAllListeners("close");
        child.on("message", (report: Report) => {
          heard = Date.now();
          size = Math.min(size, rss(child));
          if (report.kind === "unable") reject(new Error(report.text));
          hear(report);
          if (["done", "failed", "verdict"].includes(report.kind)) resolve(report);
        });
        child.once("close", (code, signal) => {
          this.#child = null;
          const words = reason ?? lastWords(stderr, code, signal);
          const reading = this.#lastReading(words);
          if (reading) resolve(reading);
          else reject(new Error(`${this.#module}: before its first input ${words}`));
        });
        child.send(order);
      });
    } finally {
      clearInterval(watch);
    }
  }

  #fork(): Promise<ChildProcess> {
    rmSync(this.#folder, { recursive: true, force: true });
    const child = fork(WORKER, [this.#module, this.#folder, this.#current, JSON.stringify(this.#limits)], {
      cwd: ROOT,
      execArgv: ["--import", "tsx", `--max-old-space-size=${(BASE + this.#limits.bytes) / 2 ** 20}`],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    return new Promise((resolve, reject) => {
      let stderr = "";
      child.stderr?.on("data", (text) => {
        stderr += text;
      });
      const timer = setTimeout(() => child.kill("SIGKILL"), START);
      child.once("message", () => {
        clearTimeout(timer);
        resolve(child);
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`${this.#module}: the reader did not start: ${lastWords(stderr, code, signal)}`));
      });
    });
  }

  /** What a process that is no more was reading; null when it had not begun. */
  #lastReading(text: string): (Report & { kind: "failed" }) | null {
    const current = readFileSync(this.#current, "utf8");
    if (current.trim() === "") return null;
    const { file, counts } = JSON.parse(current) as Current;
    const bytes = readFileSync(join(this.#folder, file));
    const shape = text.replace(/\d+/g, "#").slice(0, 100);
    return {
      kind: "failed",
      input: { file, bytes },
      counts: { ...counts, index: counts.index + 1 },
      verdict: { outcome: "failed", text, shape, milliseconds: 0, grown: 0 },
    };
  }
}

/** Why a process ended that nobody told to: the line of its trace that says so. */
function lastWords(stderr: string, code: number | null, signal: string | null): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const said = lines.findLast((line) => /error|abort|fatal/i.test(line)) ?? lines.at(-1) ?? "without a word";
  return `the process ended (${signal ?? `code ${code}`}): ${said.trim()}`;
}

/** Resident bytes of a process; 0 where the system does not tell. */
function rss(child: ChildProcess): number {
  try {
    return 4096 * Number(readFileSync(`/proc/${child.pid}/statm`, "utf8").split(" ")[1]);
  } catch {
    return 0;
  }
}
