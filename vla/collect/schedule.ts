/**
 * Which starts of a task to play: in the order of their numbers until enough of them have succeeded. The starts that
 * are kept, the first successes, are the same for any number of workers.
 */
export class Schedule {
  readonly #wanted: number;
  readonly #first: number;
  readonly #most: number;
  readonly #played: Map<number, boolean>;
  #next: number;
  #running = 0;

  /** @param most starts that are tried, at most. */
  constructor(wanted: number, first: number, most: number, played: ReadonlyMap<number, boolean>) {
    this.#wanted = wanted;
    this.#first = first;
    this.#most = most;
    this.#played = new Map(played);
    this.#next = first;
  }

  /** The next start to play; null while none is needed. Ask again after each `report`. */
  take(): number | null {
    while (this.#played.has(this.#next)) this.#next++;
    const enough = this.#successesBefore(this.#next) + this.#running >= this.#wanted;
    if (enough || this.#next >= this.#first + this.#most) return null;
    this.#running++;
    return this.#next++;
  }

  report(start: number, success: boolean): void {
    this.#running--;
    this.#played.set(start, success);
  }

  /** Nothing is being played, so `take` gives no more. */
  get settled(): boolean {
    return this.#running === 0;
  }

  /** The starts to keep; null while some of them are still to be played, or too few have succeeded. */
  kept(): number[] | null {
    const kept: number[] = [];
    for (let start = this.#first; kept.length < this.#wanted; start++) {
      const success = this.#played.get(start);
      if (success === undefined) return null;
      if (success) kept.push(start);
    }
    return kept;
  }

  /** Starts played so far, and how many of them succeeded. */
  get counts(): { played: number; successes: number } {
    return { played: this.#played.size, successes: this.#successesBefore(Number.POSITIVE_INFINITY) };
  }

  #successesBefore(end: number): number {
    let count = 0;
    for (const [start, success] of this.#played) if (success && start < end) count++;
    return count;
  }
}
