/** The 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/** How well a score tells two kinds apart. */
export interface Auroc {
  readonly positives: number;
  readonly negatives: number;
  /**
   * The probability that the score of a positive drawn at random is above that of a negative, ties counted half: the
   * area under the receiver operating characteristic. Null without both kinds.
   */
  readonly auroc: number | null;
  /** 95 % confidence interval; [0, 1] where nothing is known. */
  readonly interval: readonly [low: number, high: number];
}

/** The area under the ROC of some scores. @throws Error for a score that is not a number. */
export function auroc(positives: readonly number[], negatives: readonly number[]): Auroc {
  const bad = [...positives, ...negatives].find((score) => Number.isNaN(score));
  if (bad !== undefined) throw new Error("auroc: expected scores, got NaN");
  const [m, n] = [positives.length, negatives.length];
  if (m === 0 || n === 0) return { positives: m, negatives: n, auroc: null, interval: [0, 1] };
  const sorted = Float64Array.from(negatives).sort();
  let wins = 0; // of all pairs, in halves
  for (const score of positives) wins += countBelow(sorted, score) + countBelow(sorted, score, true);
  const area = wins / (2 * m * n);
  return { positives: m, negatives: n, auroc: area, interval: aurocInterval(area, m, n) };
}

/** How many of ascending numbers are below `limit`, or at most `limit`. */
function countBelow(sorted: Float64Array, limit: number, orEqual = false): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit || (orEqual && sorted[middle] === limit)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * All areas θ from which the observed one is at most Z standard deviations away, under Hanley and McNeil's variance
 * (Radiology 143, 1982) with m and n replaced by their mean:
 *   |A − θ| ≤ Z √(θ (1 − θ) (1 + N ((1 − θ)/(2 − θ) + θ/(1 + θ))) / (m n))    with N = (m + n)/2 − 1
 * (Newcombe, Statistics in Medicine 25, 2006, method 5): Wilson's interval for areas. Unlike DeLong's and a bootstrap's
 * it stays inside [0, 1] and keeps its width where all pairs are told apart, and it needs no random numbers. Scores
 * count as independent.
 */
export function aurocInterval(area: number, m: number, n: number): readonly [low: number, high: number] {
  const N = (m + n) / 2 - 1;
  const excess = (theta: number): number => {
    const variance =
      (theta * (1 - theta) * (1 + N * ((1 - theta) / (2 - theta) + theta / (1 + theta)))) / (m * n);
    return (area - theta) ** 2 - Z ** 2 * variance;
  };
  // Outside the interval the excess is positive, inside it is not, and at the observed area it never is.
  const edge = (outside: number): number => {
    let [out, within] = [outside, area];
    for (let i = 0; i < 60; i++) {
      const middle = (out + within) / 2;
      if (excess(middle) > 0) out = middle;
      else within = middle;
    }
    return within;
  };
  return [area === 0 ? 0 : edge(0), area === 1 ? 1 : edge(1)];
}
