import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Mt19937 } from "../../../vla/libero/mt19937.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("Mt19937", () => {
  // Printed by NumPy 2.4: numpy.random.seed(s) followed by the named call.
  test("random_sample, uniform, randn and randint of NumPy, bit for bit", () => {
    const a = new Mt19937(0);
    expect([a.random(), a.random(), a.random()]).toEqual([
      0.5488135039273248, 0.7151893663724195, 0.6027633760716439,
    ]);
    expect(new Mt19937(42).uniform(-3, 5)).toBe(-0.0036790492211000725);
    const g = new Mt19937(0);
    expect([g.gauss(), g.gauss(), g.gauss()]).toEqual([
      1.764052345967664, 0.4001572083672233, 0.9787379841057392,
    ]);
    const r = new Mt19937(7);
    expect(Array.from({ length: 8 }, () => r.integer(6))).toEqual([4, 1, 3, 3, 4, 1, 0, 1]);
    expect(new Mt19937(2 ** 32 - 1).random()).toBe(0.0976320289940138);
  });

  test("the stream stays right past two refills of its 624 words", () => {
    const rng = new Mt19937(123);
    let last = 0;
    for (let i = 0; i < 1000; i++) last = rng.random();
    expect(last).toBe(0.2948947090182449);
  });

  test("a single choice draws nothing", () => {
    const a = new Mt19937(5);
    const b = new Mt19937(5);
    expect(a.integer(1)).toBe(0);
    expect(a.random()).toBe(b.random());
  });

  test("a pair of gaussians takes one polar draw, also with other draws between", () => {
    const a = new Mt19937(3);
    const b = new Mt19937(3);
    const first = a.gauss();
    const between = a.random();
    expect([first, a.gauss()]).toEqual([b.gauss(), b.gauss()]);
    expect(b.random()).toBe(between);
  });

  property.prop([
    seeds,
    fc.double({ min: -9, max: 9, noNaN: true }),
    fc.double({ min: 0, max: 9, noNaN: true }),
  ])("uniform stays in its range", (seed, low, width) => {
    const x = new Mt19937(seed).uniform(low, low + width);
    expect(x).toBeGreaterThanOrEqual(low);
    expect(x).toBeLessThanOrEqual(low + width);
  });

  property.prop([seeds, fc.integer({ min: 1, max: 2 ** 32 })])(
    "integer stays below its count",
    (seed, count) => {
      const x = new Mt19937(seed).integer(count);
      expect(Number.isInteger(x) && x >= 0 && x < count).toBe(true);
    },
  );

  test.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])(
    "a choice among %s is refused, not sought for ever",
    (count) => {
      expect(() => new Mt19937(0).integer(count)).toThrow(`expected a count from 1 to 2^32, found ${count}`);
    },
  );

  test.each([-1, 0.5, 2 ** 32, Number.NaN])("seed %s is refused", (seed) => {
    expect(() => new Mt19937(seed)).toThrow(/expected a seed that is an integer in \[0, 2\^32\), got/);
  });
});
