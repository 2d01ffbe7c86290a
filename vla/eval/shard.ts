import { UsageError } from "../../cli/index.ts";
import type { ExpectedTask } from "./ledger.ts";

/** One of the parts that a run is divided into, for as many machines. */
export interface Shard {
  /** From 0 to `of` − 1, as Slurm arrays and indexed jobs of Kubernetes count. */
  readonly index: number;
  readonly of: number;
}

/** `0/4` to `3/4`. @throws UsageError for anything else. */
export function readShard(text: string): Shard {
  const [, index, of] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  if (of === undefined || Number(index) >= Number(of))
    throw new UsageError(`--shard: expected I/N with I from 0 to N - 1, got ${JSON.stringify(text)}`);
  return { index: Number(index), of: Number(of) };
}

/**
 * The episodes of a part: the run's, in order, are cut into pieces of the same length, or one less, so that a machine
 * opens few tasks. Tasks of which nothing is left are still there, without episodes.
 */
export function partOf<P extends ExpectedTask>(setups: readonly P[], { index, of }: Shard): P[] {
  const total = setups.reduce((sum, { episodes }) => sum + episodes.length, 0);
  const [first, end] = [index, index + 1].map((i) => Math.floor((i * total) / of));
  let before = 0;
  return setups.map((setup) => {
    const episodes = setup.episodes.slice(Math.max(0, first - before), Math.max(0, end - before));
    before += setup.episodes.length;
    return { ...setup, episodes };
  });
}
