import { checkFunction, checkInteger, type Random } from "../core/index.ts";

/**
 * The order in which a run sees examples: an endless row of epochs, each a permutation of its own, drawn from the
 * epoch's stream. A position's example depends on nothing that was asked before.
 */
export class EpochOrder {
  readonly count: number;
  readonly #streams: (epoch: number) => Random;
  /** The epoch that was asked for last. */
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  /** @param streams random numbers for each epoch, the same at each call */
  constructor(count: number, streams: (epoch: number) => Random) {
    checkInteger(count, 1, "EpochOrder", "count");
    checkFunction(streams, "EpochOrder", "streams");
    this.count = count;
    this.#streams = streams;
  }

  /** The example at a position of the run, from 0. */
  at(position: number): number {
    const epoch = Math.floor(position / this.count);
    if (epoch !== this.#epoch) {
      this.#order = Int32Array.from(this.#streams(epoch).permutation(this.count));
      this.#epoch = epoch;
    }
    return this.#order[position % this.count];
  }
}
