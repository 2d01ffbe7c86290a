import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Random } from "../../core/index.ts";
import {
  buffer,
  constant,
  cosineSchedule,
  Ema,
  emaDecay,
  linearSchedule,
  Module,
  oneStepLate,
  parameter,
  type Schedule,
  sequentialSchedule,
  stepSchedule,
  triStage,
  warmUp,
} from "../../nn/index.ts";

const config = {
  peak: 2e-5,
  totalSteps: 1000,
  phases: [0.05, 0.1, 0.85],
  startFactor: 0.1,
  endFactor: 0.5,
} as const;

describe("triStage", () => {
  const schedule = triStage(config);

  test("begins and ends at its factors, and holds its peak", () => {
    expect(schedule(0)).toBeCloseTo(2e-6, 18);
    expect([50, 100, 150].map(schedule)).toEqual([2e-5, 2e-5, 2e-5]);
    expect(schedule(1000)).toBeCloseTo(1e-5, 18);
    expect(schedule(5000)).toBe(1e-5);
    expect(schedule(575)).toBeCloseTo(1.5e-5, 12); // half way down
  });

  test.prop([fc.integer({ min: 0, max: 1200 })])("rises, then never rises again, in small steps", (step) => {
    const change = schedule(step + 1) - schedule(step);
    if (step < 50) expect(change).toBeGreaterThan(0);
    else expect(change).toBeLessThanOrEqual(1e-20);
    expect(Math.abs(change)).toBeLessThan(4e-7);
  });

  test("may lack phases", () => {
    const flat = triStage({ ...config, phases: [0, 1, 0] });
    expect([0, 500, 999].map(flat)).toEqual([2e-5, 2e-5, 2e-5]);
  });
});

describe("ramps", () => {
  const ramp = fc.record({
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    to: fc.double({ min: 0, max: 1, noNaN: true }),
    steps: fc.integer({ min: 1, max: 300 }),
  });
  const ramps: Record<string, (of: { from: number; to: number; steps: number }) => Schedule> = {
    linear: linearSchedule,
    cosine: cosineSchedule,
  };

  test.prop([fc.constantFrom("linear", "cosine"), ramp])(
    "go from one rate to the other, pass half way in the middle, and stay there",
    (kind, of) => {
      const schedule = ramps[kind](of);
      expect(schedule(0)).toBeCloseTo(of.from, 12);
      expect([of.steps, of.steps + 1, 10 * of.steps].map(schedule)).toEqual([of.to, of.to, of.to]);
      const half = ramps[kind]({ ...of, steps: 2 * of.steps })(of.steps);
      expect(half).toBeCloseTo((of.from + of.to) / 2, 12);
      const direction = Math.sign(of.to - of.from);
      // The steepest part of half a cosine is π/2 times as steep as the line.
      const most = (Math.PI / 2) * (Math.abs(of.to - of.from) / of.steps) + 1e-12;
      for (let step = 0; step <= of.steps; step++) {
        const change = (schedule(step + 1) - schedule(step)) * direction;
        expect(change).toBeGreaterThanOrEqual(-1e-12);
        expect(change).toBeLessThanOrEqual(most);
      }
    },
  );

  test("take the values of the formulas", () => {
    expect([0, 1, 2, 3, 4].map(linearSchedule({ from: 1, to: 3, steps: 4 }))).toEqual([1, 1.5, 2, 2.5, 3]);
    const cosine = cosineSchedule({ from: 2, to: 0, steps: 3 });
    [2, 1.5, 0.5, 0].forEach((value, step) => {
      expect(cosine(step)).toBeCloseTo(value, 12);
    });
    expect([0, 2, 3, 5, 6].map(stepSchedule({ from: 8, every: 3, factor: 0.5 }))).toEqual([8, 8, 4, 4, 2]);
    expect(cosineSchedule({ from: 1, to: 2, steps: 0 })(0)).toBe(2);
  });
});

describe("combined schedules", () => {
  test.prop([fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }), fc.nat(30)])(
    "count their steps anew where each begins",
    (lengths, step) => {
      const phases = lengths.map((steps, i) => ({ steps, schedule: (n: number) => 100 * i + n }));
      const schedule = sequentialSchedule(phases, (n) => 1000 + n);
      const all = [
        ...lengths.flatMap((steps, i) => Array.from({ length: steps }, (_, n) => 100 * i + n)),
        ...Array.from({ length: 31 }, (_, n) => 1000 + n),
      ];
      expect(schedule(step)).toBe(all[step]);
    },
  );

  test("warm up from nothing to where a schedule starts, without a jump", () => {
    const fall = cosineSchedule({ from: 1, to: 0, steps: 10 });
    const schedule = warmUp(4, fall);
    expect([0, 1, 2, 3, 4].map(schedule)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    for (let step = 0; step < 12; step++) expect(schedule(step + 4)).toBe(fall(step));
    expect(warmUp(0, fall)(0)).toBe(1);
  });

  test("triStage is a line, a plateau and a cosine", () => {
    const peak = 2e-5;
    const parts = sequentialSchedule(
      [
        { steps: 50, schedule: linearSchedule({ from: 0.1 * peak, to: peak, steps: 50 }) },
        { steps: 100, schedule: () => peak },
      ],
      cosineSchedule({ from: peak, to: 0.5 * peak, steps: 850 }),
    );
    for (let step = 0; step < 1100; step += 7) expect(triStage(config)(step)).toBe(parts(step));
  });
});

test("oneStepLate runs the first step at its own rate", () => {
  const late = oneStepLate((step) => step, 7);
  expect([0, 1, 2, 3].map(late)).toEqual([7, 0, 1, 2]);
});

class Pair extends Module {
  weight = parameter([2], constant(1));
  order = buffer([2], constant(3), "int32");
}

describe("Ema", () => {
  test.prop([fc.integer({ min: 1, max: 1_000_000 })])(
    "keeps more of the past at every step, at most 0.9999",
    (step) => {
      expect(emaDecay(step + 1)).toBeGreaterThanOrEqual(emaDecay(step));
      expect(emaDecay(step)).toBeGreaterThanOrEqual(0);
      expect(emaDecay(step)).toBeLessThanOrEqual(0.9999);
    },
  );

  test.prop([fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 1, maxLength: 6 })])(
    "starts as a copy and stays between the weights it has seen",
    (values) => {
      const pair = new Pair().init(new Random(0));
      const ema = new Ema(pair);
      values.forEach((value, i) => {
        pair.weight.data.fill(value);
        ema.update(i + 1);
        const average = Number(ema.stateDict().get("weight")?.data[0]);
        const seen = values.slice(0, i + 1).map(Math.fround);
        if (i === 0) expect(average).toBe(Math.fround(value));
        expect(average).toBeGreaterThanOrEqual(Math.min(...seen) - 1e-6);
        expect(average).toBeLessThanOrEqual(Math.max(...seen) + 1e-6);
      });
      ema.dispose();
      pair.dispose();
    },
  );

  test("copies integers, swaps for validation and back, and goes on from its state", () => {
    const pair = new Pair().init(new Random(0));
    const ema = new Ema(pair);
    pair.weight.data.fill(5);
    pair.order.data.set([9, 8]);
    ema.update(2);
    const average = 1 + (1 - emaDecay(2)) * 4;
    ema.swap();
    expect(pair.weight.data[0]).toBeCloseTo(average, 6);
    expect(pair.order.toArray()).toEqual([9, 8]);
    ema.swap();
    expect(pair.weight.toArray()).toEqual([5, 5]);
    const other = new Ema(pair);
    other.load(ema.stateDict());
    expect(other.stateDict()).toEqual(ema.stateDict());
    expect(() => other.load(new Map())).toThrow("expected an entry weight, got none");
  });

  test("has one average for a tied weight, under all its names", () => {
    class Twin extends Module {
      first = parameter([1], constant(1));
      second = this.first;
    }
    const twin = new Twin().init(new Random(0));
    const ema = new Ema(twin);
    twin.first.data.fill(5);
    ema.update(2);
    const average = 1 + (1 - emaDecay(2)) * 4;
    ema.swap();
    expect(twin.second.item()).toBeCloseTo(average, 6);
    ema.swap();
    expect(twin.second.item()).toBe(5);
    const dict = ema.stateDict();
    expect(dict.get("second")).toEqual(dict.get("first"));
    new Ema(twin).load(dict);
  });

  test("changes nothing when a state does not fit", () => {
    const ema = new Ema(new Pair().init(new Random(0)));
    const before = ema.stateDict();
    const dict = new Ema(new Pair().init(new Random(1))).stateDict();
    dict.set("weight", { dtype: "F32", shape: [2], data: Float32Array.of(7, 7) });
    dict.set("order", { dtype: "I64", shape: [3], data: new BigInt64Array(3) });
    expect(() => ema.load(dict)).toThrow("Ema.load: order: expected (2), got (3)");
    expect(ema.stateDict()).toEqual(before);
  });
});
