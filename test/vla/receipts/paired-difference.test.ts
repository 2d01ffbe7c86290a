import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import {
  mcnemar,
  type PairCounts,
  pairedDifference,
  pairsOf,
} from "../../../vla/receipts/paired-difference.ts";

const count = fc.nat(400);
const counts = fc.record({ both: count, onlyA: count, onlyB: count, neither: count });
const some = counts.filter((each) => pairsOf(each) > 0);
const exchanged = ({ both, onlyA, onlyB, neither }: PairCounts): PairCounts => ({
  both,
  onlyA: onlyB,
  onlyB: onlyA,
  neither,
});

describe("pairedDifference", () => {
  test.prop([some])("contains the difference of the rates, and stays in [-1, 1]", (each) => {
    const { difference, low, high } = pairedDifference(each);
    expect(difference).toBeCloseTo((each.onlyB - each.onlyA) / pairsOf(each), 12);
    expect(low).toBeLessThanOrEqual(difference);
    expect(high).toBeGreaterThanOrEqual(difference);
    // 1e-12: sums of rates that round.
    expect(low).toBeGreaterThanOrEqual(-1 - 1e-12);
    expect(high).toBeLessThanOrEqual(1 + 1e-12);
  });

  test.prop([some])("is negated when A and B change places", (each) => {
    const one = pairedDifference(each);
    const other = pairedDifference(exchanged(each));
    expect(other.difference).toBeCloseTo(-one.difference, 12);
    expect(other.low).toBeCloseTo(-one.high, 12);
    expect(other.high).toBeCloseTo(-one.low, 12);
  });

  test.prop([some])(
    "is negated when successes and failures change places",
    ({ both, onlyA, onlyB, neither }) => {
      const one = pairedDifference({ both, onlyA, onlyB, neither });
      const other = pairedDifference({ both: neither, onlyA: onlyB, onlyB: onlyA, neither: both });
      expect(other.low).toBeCloseTo(-one.high, 12);
      expect(other.high).toBeCloseTo(-one.low, 12);
    },
  );

  test.prop([some])("narrows with twice the pairs", ({ both, onlyA, onlyB, neither }) => {
    const one = pairedDifference({ both, onlyA, onlyB, neither });
    const twice = pairedDifference({
      both: 2 * both,
      onlyA: 2 * onlyA,
      onlyB: 2 * onlyB,
      neither: 2 * neither,
    });
    expect(twice.high - twice.low).toBeLessThan(one.high - one.low);
  });

  test("agrees with published values", () => {
    // [both, only first, only second, neither, low, high] of first − second: the example of Newcombe, Statistics in
    // Medicine 17 (1998), 2635–2650, table III, method 10; then two of Fagerland, Lydersen and Laake, Statistics in
    // Medicine 33 (2014), 2850–2875.
    const published = [
      [36, 12, 2, 0, 0.0569, 0.3404],
      [1, 1, 7, 12, -0.507, -0.026],
      [59, 6, 16, 80, -0.119, -0.005],
    ];
    for (const [both, onlyB, onlyA, neither, low, high] of published) {
      const digits = low === 0.0569 ? 4 : 3;
      const found = pairedDifference({ both, onlyA, onlyB, neither });
      expect(found.low).toBeCloseTo(low, digits);
      expect(found.high).toBeCloseTo(high, digits);
    }
  });

  test("refuses what are no counts, and none", () => {
    expect(() => pairedDifference({ both: 0, onlyA: 0, onlyB: 0, neither: 0 })).toThrow("got none");
    expect(() => pairedDifference({ both: -1, onlyA: 0, onlyB: 0, neither: 2 })).toThrow("got -1, 0, 0, 2");
  });
});

describe("mcnemar", () => {
  test.prop([counts])("lies in [0, 1], and is the same when A and B change places", (each) => {
    const p = mcnemar(each);
    expect(p).toBeGreaterThanOrEqual(0);
    expect(p).toBeLessThanOrEqual(1);
    expect(mcnemar(exchanged(each))).toBe(p);
  });

  test.prop([counts, count, count])("only pairs that differ count", (each, both, neither) => {
    expect(mcnemar({ ...each, both, neither })).toBe(mcnemar(each));
  });

  test.prop([fc.nat(60), fc.nat(60)])("is the sum of binomials, in whole numbers", (onlyA, onlyB) => {
    const n = onlyA + onlyB;
    let [term, sum] = [1n, 0n];
    for (let i = 0; i <= Math.min(onlyA, onlyB); i++) {
      sum += term;
      term = (term * BigInt(n - i)) / BigInt(i + 1);
    }
    const expected = Math.min(1, Number(2n * sum) / 2 ** n);
    // 1e-12 of it: logarithms of up to 2^120 lose two digits.
    expect(Math.abs(mcnemar({ both: 0, onlyA, onlyB, neither: 0 }) / expected - 1)).toBeLessThan(1e-12);
  });

  test.prop([fc.integer({ min: 1, max: 60 }), fc.nat(60)])(
    "falls the more one-sided the pairs are",
    (more, less) => {
      const p = (onlyA: number) => mcnemar({ both: 0, onlyA, onlyB: less, neither: 0 });
      expect(p(less + more + 1)).toBeLessThan(p(less + more));
    },
  );

  test("agrees with published values", () => {
    // Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13 (2013), 91: 1 and 7 of 21, 6 and 16 of 161.
    expect(mcnemar({ both: 1, onlyA: 1, onlyB: 7, neither: 12 })).toBeCloseTo(18 / 256, 12);
    expect(mcnemar({ both: 59, onlyA: 6, onlyB: 16, neither: 80 })).toBeCloseTo(0.0525, 4);
    expect(mcnemar({ both: 3, onlyA: 0, onlyB: 0, neither: 4 })).toBe(1);
    // Where 2⁻ⁿ is no float64 any more.
    const far = mcnemar({ both: 0, onlyA: 900, onlyB: 1100, neither: 0 });
    expect(far).toBeCloseTo(8.5e-6, 6);
  });
});
