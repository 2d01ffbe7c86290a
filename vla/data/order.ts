import { createHash } from "node:crypto";
import { Random } from "../../core/index.ts";
import { EpochOrder } from "../../nn/index.ts";

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
 * The order in which a run sees examples, a pure function of (seed, epoch). No epoch is cut short to a whole number of
 * batches: a batch at its end goes on with the next one, so every batch is full and every example has its turn once per
 * epoch.
 */
export const orderOf = (count: number, seed: number): EpochOrder =>
  new EpochOrder(count, streamsOf(seed, "order of examples"));
