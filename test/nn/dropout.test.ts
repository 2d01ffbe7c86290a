import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Scope, Tensor } from "../../core/index.ts";
import { Dropout, seedDropout } from "../../nn/index.ts";

const probability = fc.double({ min: 0.05, max: 0.95, noNaN: true });

describe("Dropout", () => {
  test.prop([probability])("does nothing outside training", (p) => {
    const x = Tensor.ones([4]);
    expect(new Dropout(p).forward(x)).toBe(x);
  });

  test.prop([probability, fc.nat(1000)])("zeroes entries or scales them by 1/(1 - p)", (p, seed) => {
    using _ = new Scope();
    seedDropout(seed);
    const y = new Dropout(p).train().forward(Tensor.ones([1000], "float64"));
    const kept = y.toArray().filter((v) => v !== 0);
    for (const value of kept) expect(value).toBeCloseTo(1 / (1 - p), 12);
    // Five standard deviations of a binomial share: once in two million draws.
    expect(Math.abs(kept.length / 1000 - (1 - p))).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 1000));
  });

  test("draws the same masks after the same seed, others after each other", () => {
    using _ = new Scope();
    const dropout = new Dropout(0.5).train();
    const draw = (): number[] => dropout.forward(Tensor.ones([64])).toArray();
    seedDropout(3);
    const first = draw();
    expect(draw()).not.toEqual(first);
    seedDropout(3);
    expect(draw()).toEqual(first);
  });

  test("passes the gradient where it passed the value", () => {
    using _ = new Scope();
    const x = Tensor.ones([32]).tracked();
    const y = new Dropout(0.5).train().forward(x);
    expect(grad(y.sum(), [x])[0]?.toArray()).toEqual(y.toArray());
  });

  test("refuses what is no probability", () => {
    for (const p of [-0.1, 1, Number.NaN]) expect(() => new Dropout(p)).toThrow("probability in [0, 1)");
  });
});
