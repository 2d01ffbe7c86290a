import type { Outcome } from "../eval/results.ts";
import { type Auroc, auroc } from "./auroc.ts";

/** How an episode is played: undisturbed, or with one thing changed. */
export const CONDITIONS = ["as is", "camera", "colour", "words"] as const;
export type Condition = (typeof CONDITIONS)[number];

/** What signals are made of. */
export interface Heard {
  readonly condition: Condition;
  readonly outcome: Outcome;
  /** log p(chunk | seen) of each chunk, nats. */
  readonly logProbs: readonly number[];
  /** What the flow's layers have in each of them, log |det J|: the rest is log p(z) of the noise that was drawn. */
  readonly logDets: readonly number[];
}

/** Chunks that count as the beginning of an episode. */
const EARLY = 5;

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/**
 * Ways to make one number of an episode. The least of many is lower than the least of few, and episodes that fail are
 * the longest: only the early chunks are as many in each, and made before it is known how it ends. Half of |z|² spreads
 * by 6 nats over chunks of 70 numbers whatever is seen; `early log det` leaves it out.
 */
const STATISTICS = {
  mean: ({ logProbs }) => mean(logProbs),
  least: ({ logProbs }) => Math.min(...logProbs),
  early: ({ logProbs }) => mean(logProbs.slice(0, EARLY)),
  "early log det": ({ logDets }) => mean(logDets.slice(0, EARLY)),
} as const satisfies Record<string, (episode: Heard) => number>;
export type Statistic = keyof typeof STATISTICS;

/** How well a low log-probability tells something. */
export interface Signal extends Auroc {
  /** What: that an undisturbed episode fails, or that an episode is disturbed in this way. */
  readonly tells: "failure" | Exclude<Condition, "as is">;
  readonly by: Statistic;
}

/**
 * Every signal there are episodes for. A failure is told among the undisturbed episodes, a disturbance from them;
 * episodes without a chunk, or that ended in an error, say nothing.
 */
export function signalsOf(episodes: readonly Heard[]): Signal[] {
  const heard = episodes.filter(({ outcome, logProbs }) => outcome !== "error" && logProbs.length > 0);
  const undisturbed = heard.filter(({ condition }) => condition === "as is");
  const kinds = CONDITIONS.map((condition) => {
    if (condition !== "as is")
      return [condition, heard.filter((one) => one.condition === condition), undisturbed] as const;
    const [failures, successes] = (["failure", "success"] as const).map((outcome) =>
      undisturbed.filter((one) => one.outcome === outcome),
    );
    return ["failure", failures, successes] as const;
  });
  return kinds.flatMap(([tells, positives, negatives]) =>
    Object.entries(STATISTICS).map(([by, statistic]): Signal => {
      const scores = (some: readonly Heard[]) => some.map((one) => -statistic(one));
      return { tells, by: by as Statistic, ...auroc(scores(positives), scores(negatives)) };
    }),
  );
}
