import { createHash } from "node:crypto";
import { Random } from "../../core/index.ts";

/**
 * Random numbers for one purpose: a stream of their own at each position of a run, which depends on nothing that was
 * drawn before. Purposes do not share numbers, nor does anything else that uses the seed itself.
 */
export function streamsOf(seed: number, purpose: string): (position: number) => Random {
  const own = createHash("sha256")
    .update(JSON.stringify([seed, purpose]))
    .digest()
    .readUIntLE(0, 6);
  return (position) => new Random(own, position);
}

/**
 * The order in which a run sees examples: an endless row of epochs, each a permutation of its own, a pure function of
 * (seed, epoch). No epoch is cut short to a whole number of batches: a batch at its end goes on with the next one, so
 * every batch is full and every example has its turn once per epoch.
 */
export class EpochOrder {
  readonly count: number;
  readonly #streams: (epoch: number) => Random;
  /** The epoch that was asked for last. */
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  constructor(count: number, seed: number) {
    this.count = count;
    this.#streams = streamsOf(seed, "order of examples");
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
