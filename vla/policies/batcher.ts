import { nextTurn } from "../platform/node.ts";

interface Waiting<Q, A> {
  readonly question: Q;
  resolve(answer: A): void;
  reject(reason: unknown): void;
}

/**
 * Answers questions one batch after the other: those that come while a batch is worked out are the next one, as far as
 * they may be answered together.
 */
export class Batcher<Q, A> {
  readonly #answer: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly #together: (question: Q) => string;
  readonly #most: number;
  #waiting: Waiting<Q, A>[] = [];
  #working = false;

  /**
   * @param answer one answer per question, in their order; when it throws, none of them has one.
   * @param together questions with the same word for it may be in one batch, of at most `most`.
   */
  constructor(
    answer: (questions: readonly Q[]) => Promise<readonly A[]>,
    { together, most }: { readonly together: (question: Q) => string; readonly most: number },
  ) {
    this.#answer = answer;
    this.#together = together;
    this.#most = most;
  }

  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.length > 0) {
      await nextTurn(); // lets in what others have asked meanwhile
      const batch = this.#take();
      try {
        const answers = await this.#answer(batch.map(({ question }) => question));
        for (const [i, { resolve }] of batch.entries()) resolve(answers[i]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#working = false;
  }

  /** Those that may go with the one that waits longest. */
  #take(): Waiting<Q, A>[] {
    const kind = this.#together(this.#waiting[0].question);
    const batch = this.#waiting.filter(({ question }) => this.#together(question) === kind);
    batch.length = Math.min(batch.length, this.#most);
    this.#waiting = this.#waiting.filter((one) => !batch.includes(one));
    return batch;
  }
}
