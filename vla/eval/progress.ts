/** One line on a terminal that tells how far the run is and when it will end; silent where nobody watches. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #episodes: number;
  readonly #start = performance.now();
  /** Episodes that were there already, in no time. */
  readonly #before: number;
  /** How far the episodes are that are played now. */
  readonly #parts = new Map<string, number>();
  #finished: number;
  #drawn = 0;

  /** @param before episodes of which are done already. */
  constructor(episodes: number, stream: NodeJS.WriteStream = process.stderr, before = 0) {
    this.#episodes = episodes;
    this.#before = before;
    this.#finished = before;
    this.#stream = stream;
  }

  /**
   * Within an episode: `label` says which, `part` in (0, 1] how far it is. Draws at most ten times a second.
   *
   * @param episode tells it from others that are played at the same time.
   */
  step(label: string, part: number, episode = ""): void {
    this.#parts.set(episode, part);
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#drawn < 100) return;
    this.#drawn = now;
    const done = [...this.#parts.values()].reduce((sum, each) => sum + each, this.#finished);
    const eta = formatDuration(((now - this.#start) / (done - this.#before)) * (this.#episodes - done));
    const line = `episode ${this.#finished + 1}/${this.#episodes}  ${label}  ETA ${eta}`;
    this.#stream.write(`\r\x1b[K${line.slice(0, this.#stream.columns - 1)}`);
  }

  /** Before the first episode: what is being done. */
  note(text: string): void {
    if (this.#stream.isTTY) this.#stream.write(`\r\x1b[K${text.slice(0, this.#stream.columns - 1)}`);
  }

  episodeDone(episode = ""): void {
    this.#parts.delete(episode);
    this.#finished++;
  }

  /** Takes the line away, so that what is printed next starts on a clean one. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write("\r\x1b[K");
  }
}

/** Milliseconds as `42 s`, `3 min 05 s` or `2 h 07 min`; `?` while nothing is known. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "?";
  const seconds = Math.round(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}
