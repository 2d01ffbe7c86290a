import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { wilsonInterval } from "../../../vla/eval/wilson.ts";

const counts = fc
  .integer({ min: 1, max: 5000 })
  .chain((n) => fc.record({ n: fc.constant(n), successes: fc.integer({ min: 0, max: n }) }));

describe("wilsonInterval", () => {
  test.prop([counts])("contains the rate and stays in [0, 1]", ({ successes, n }) => {
    const [low, high] = wilsonInterval(successes, n);
    expect(low).toBeGreaterThanOrEqual(0);
    expect(low).toBeLessThanOrEqual(successes / n);
    expect(high).toBeGreaterThanOrEqual(successes / n);
    expect(high).toBeLessThanOrEqual(1);
  });

  test.prop([counts])("ends where the observed rate is 1.96 standard deviations away", ({ successes, n }) => {
    for (const end of wilsonInterval(successes, n)) {
      const distance = Math.abs(successes / n - end);
      // 1e-9: at rates near 0 and 1 both sides lose half their digits to the square root.
      expect(distance - 1.959963984540054 * Math.sqrt((end * (1 - end)) / n)).toBeCloseTo(0, 9);
    }
  });

  test.prop([counts])("mirrors when successes and failures swap", ({ successes, n }) => {
    const [low, high] = wilsonInterval(successes, n);
    const [lowMirrored, highMirrored] = wilsonInterval(n - successes, n);
    expect(low).toBeCloseTo(1 - highMirrored, 12);
    expect(high).toBeCloseTo(1 - lowMirrored, 12);
  });

  test.prop([counts])(
    "rises with each success and narrows with more episodes of the same rate",
    ({ successes, n }) => {
      const [low, high] = wilsonInterval(successes, n);
      if (successes < n) {
        const [lowNext, highNext] = wilsonInterval(successes + 1, n);
        expect(lowNext).toBeGreaterThan(low);
        expect(highNext).toBeGreaterThan(high);
      }
      const [lowTwice, highTwice] = wilsonInterval(2 * successes, 2 * n);
      expect(highTwice - lowTwice).toBeLessThan(high - low);
    },
  );

  test("agrees with published values", () => {
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    const table = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ];
    for (const [successes, n, low, high] of table) {
      const interval = wilsonInterval(successes, n);
      expect(interval[0]).toBeCloseTo(low, 4);
      expect(interval[1]).toBeCloseTo(high, 4);
    }
  });

  test("knows nothing without episodes, and refuses counts that cannot be", () => {
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
    expect(() => wilsonInterval(3, 2)).toThrow("got 3 of 2");
    expect(() => wilsonInterval(0.5, 2)).toThrow("got 0.5 of 2");
  });
});
