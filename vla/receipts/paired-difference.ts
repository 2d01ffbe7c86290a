import { wilsonInterval } from "../eval/wilson.ts";

/** What became of starts that two policies A and B were both given: how many succeeded with whom. */
export interface PairCounts {
  readonly both: number;
  readonly onlyA: number;
  readonly onlyB: number;
  readonly neither: number;
}

export const pairsOf = ({ both, onlyA, onlyB, neither }: PairCounts): number =>
  both + onlyA + onlyB + neither;

/** How many of the pairs succeeded with A, and with B. */
export const successesOf = ({ both, onlyA, onlyB }: PairCounts) => ({ a: both + onlyA, b: both + onlyB });

/**
 * By how much B's success rate is above A's, and the 95 % confidence interval of that: method 10 of Newcombe,
 * Statistics in Medicine 17 (1998), 2635–2650, for paired proportions. With the Wilson intervals [l, u] of both rates
 * p,
 *   d − √((p_B − l_B)² − 2φ (p_B − l_B)(u_A − p_A) + (u_A − p_A)²)  ≤  difference  ≤
 *   d + √((u_B − p_B)² − 2φ (u_B − p_B)(p_A − l_A) + (p_A − l_A)²)   with d = p_B − p_A,
 * where φ says how much the outcomes of a pair go together: policies that solve the same starts are told apart by fewer
 * pairs.
 */
export function pairedDifference(counts: PairCounts): { difference: number; low: number; high: number } {
  const n = checkCounts("pairedDifference", counts);
  if (n === 0) throw new Error("pairedDifference: expected at least one pair, got none");
  const { a, b } = successesOf(counts);
  const [p, q] = [b / n, a / n];
  const [[pLow, pHigh], [qLow, qHigh]] = [wilsonInterval(b, n), wilsonInterval(a, n)];
  const phi = association(counts, n);
  const reach = (x: number, y: number): number => Math.sqrt(x ** 2 - 2 * phi * x * y + y ** 2);
  const difference = (counts.onlyB - counts.onlyA) / n;
  return {
    difference,
    low: difference - reach(p - pLow, qHigh - q),
    high: difference + reach(pHigh - p, q - qLow),
  };
}

/** Newcombe's φ: the correlation of the outcomes, a positive one made smaller by a correction for continuity. */
function association({ both, onlyA, onlyB, neither }: PairCounts, n: number): number {
  const margins = (both + onlyA) * (onlyB + neither) * (both + onlyB) * (onlyA + neither);
  if (margins === 0) return 0;
  const product = both * neither - onlyA * onlyB;
  return (product > 0 ? Math.max(0, product - n / 2) : product) / Math.sqrt(margins);
}

/**
 * McNemar's exact test, two-sided: how likely the pairs that differ would be split at least as unevenly by chance, if A
 * and B were equally good. Each of the n = onlyA + onlyB is then a throw of a coin:
 *   p = min(1, 2 Σ C(n, i) 2⁻ⁿ for i from 0 to min(onlyA, onlyB)).
 * (McNemar, Psychometrika 12, 1947; as a sign test.)
 */
export function mcnemar(counts: PairCounts): number {
  checkCounts("mcnemar", counts);
  const { onlyA, onlyB } = counts;
  const n = onlyA + onlyB;
  // In logarithms: 2⁻ⁿ is zero in float64 from n = 1075 on.
  let logTerm = -n * Math.LN2;
  let sum = 0;
  for (let i = 0; i <= Math.min(onlyA, onlyB); i++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log((n - i) / (i + 1));
  }
  return Math.min(1, 2 * sum);
}

function checkCounts(who: string, counts: PairCounts): number {
  const all = [counts.both, counts.onlyA, counts.onlyB, counts.neither];
  if (!all.every((count) => Number.isSafeInteger(count) && count >= 0))
    throw new Error(`${who}: expected counts of pairs, got ${all.join(", ")}`);
  return pairsOf(counts);
}
