import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ownModule } from "../../cli/index.ts";
import type { Schedule } from "./schedule.ts";
import type { CollectSettings } from "./store.ts";
import type { Answer, SuiteRoots } from "./worker.ts";

/** Who wants to know how it goes. */
export interface Overseer {
  /** Asked before each start: whether to play no more. */
  interrupted(): boolean;
  succeeded(): void;
  working(): void;
}

/** Processes that play starts side by side. They end with the `using` block that holds this. */
export class Crew implements Disposable {
  readonly #workers: readonly ChildProcess[];

  /** @param checkpoint folder of the policy that `settings.policy` tells of. */
  constructor(
    count: number,
    folder: string,
    settings: CollectSettings,
    roots: SuiteRoots,
    checkpoint?: string,
  ) {
    const script = fileURLToPath(ownModule("worker.ts", import.meta.url));
    const args = [
      folder,
      JSON.stringify(settings),
      JSON.stringify(roots),
      ...(checkpoint === undefined ? [] : [checkpoint]),
    ];
    // Detached: Ctrl-C, which a terminal sends to its whole group, lets them finish what they play.
    const options = { execArgv: process.execArgv, detached: true };
    this.#workers = Array.from({ length: count }, () => fork(script, args, options));
  }

  /** Plays what the schedule asks for until it asks for no more. Throws when a worker ends or cannot play. */
  async play(task: string, schedule: Schedule, overseer: Overseer): Promise<void> {
    await Promise.all(this.#workers.map((worker) => serve(worker, task, schedule, overseer)));
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) if (worker.connected) worker.disconnect();
  }
}

/** Keeps one worker busy. A worker that finds nothing to do asks again, since a start that fails calls for another. */
async function serve(
  worker: ChildProcess,
  task: string,
  schedule: Schedule,
  overseer: Overseer,
): Promise<void> {
  while (!overseer.interrupted()) {
    const start = schedule.take();
    if (start === null) {
      if (schedule.settled) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    overseer.working();
    const { success, error } = await ask(worker, { task, start });
    if (error !== undefined) throw new Error(`collect: ${task}, start ${start}: ${error}`);
    schedule.report(start, success);
    if (success) overseer.succeeded();
  }
}

function ask(worker: ChildProcess, request: { task: string; start: number }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const lost = (code: number | null, signal: string | null): void =>
      reject(new Error(`collect: a worker ended (${signal ?? `code ${code}`}); the same command goes on`));
    if (worker.exitCode !== null) return lost(worker.exitCode, worker.signalCode);
    worker.once("exit", lost);
    worker.once("message", (answer: Answer) => {
      worker.off("exit", lost);
      resolve(answer);
    });
    worker.send(request);
  });
}
