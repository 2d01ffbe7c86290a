/** The 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/**
 * The 95 % confidence interval of a success rate (Wilson, JASA 22, 1927): all rates p for which the observed
 * rate lies within Z standard deviations of p,
 *   |successes/n − p| ≤ Z √(p (1 − p) / n).
 * Unlike the textbook interval it stays inside [0, 1] and keeps its width at 0 and n successes.
 * Without episodes every rate is possible: [0, 1].
 */
export function wilsonInterval(successes: number, n: number): readonly [low: number, high: number] {
  if (!Number.isInteger(successes) || !Number.isInteger(n) || successes < 0 || successes > n)
    throw new Error(
      `wilsonInterval: expected whole numbers with 0 <= successes <= n, got ${successes} of ${n}`,
    );
  if (n === 0) return [0, 1];
  const rate = successes / n;
  const shrink = 1 / (1 + Z ** 2 / n);
  const centre = shrink * (rate + Z ** 2 / (2 * n));
  const half = shrink * Z * Math.sqrt((rate * (1 - rate)) / n + Z ** 2 / (4 * n ** 2));
  // The ends are exact where rounding would leave a 1e-17 on the wrong side.
  return [successes === 0 ? 0 : centre - half, successes === n ? 1 : centre + half];
}

/** A rate and its interval, in percent: `50.0 [9.5, 90.5]`; `-` without episodes. */
export function rateOf(successes: number, n: number): string {
  const [low, high] = wilsonInterval(successes, n);
  const percent = (rate: number) => (100 * rate).toFixed(1);
  return n === 0 ? "-" : `${percent(successes / n)} [${percent(low)}, ${percent(high)}]`;
}
