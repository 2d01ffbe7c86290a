/** Exit code of an interrupted run. */
export const INTERRUPTED = 130;

/**
 * Two signals closer than this are one key press: a launcher such as `tsx` gets the terminal's signal too and passes
 * it on when the script is busy, milliseconds.
 */
const ECHO = 300;

/**
 * Listens for Ctrl-C (SIGINT) and SIGTERM. The first one only raises `requested`, for the run to end between two
 * steps; the second ends the process at once. The listeners go with the `using` block that holds this.
 */
export class Interrupt implements Disposable {
  readonly #doing: string;
  readonly #controller = new AbortController();
  #since: number | null = null;

  /** @param doing what the program does at the first signal, in words. */
  constructor(doing = "keeping the finished episodes") {
    this.#doing = doing;
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  get requested(): boolean {
    return this.#since !== null;
  }

  /** Aborts with the first request. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }

  readonly #onSignal = (): void => {
    const now = performance.now();
    if (this.#since === null) {
      this.#since = now;
      process.stderr.write(`\nInterrupted: ${this.#doing}. Once more to end at once.\n`);
      this.#controller.abort();
    } else if (now - this.#since > ECHO) {
      process.exit(INTERRUPTED);
    }
  };
}
