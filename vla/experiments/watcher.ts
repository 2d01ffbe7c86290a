import type { Interrupt } from "../eval/interrupt.ts";
import { formatDuration, Progress } from "../eval/progress.ts";
import type { Overseer } from "./runner.ts";

/** Tells what is done, a line each, and on a terminal what is at work and since when. */
export class Watcher implements Overseer, Disposable {
  readonly #interrupt: Interrupt;
  readonly #progress = new Progress(1);
  readonly #clock: NodeJS.Timeout;
  #at = { what: "starting", since: performance.now() };

  constructor(interrupt: Interrupt) {
    this.#interrupt = interrupt;
    this.#clock = setInterval(() => {
      const { what, since } = this.#at;
      this.#progress.note(`${what}: ${formatDuration(performance.now() - since)}`);
    }, 1000);
  }

  interrupted(): boolean {
    return this.#interrupt.requested;
  }

  begins(what: string): void {
    this.#at = { what, since: performance.now() };
  }

  ended(line: string): void {
    this.#progress.clear();
    console.log(line);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#clock);
    this.#progress.clear();
  }
}
