import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor } from "../../core/index.ts";
import { Dropout, withMasks } from "../../nn/index.ts";

const probability = fc.double({ min: 0.05, max: 0.95, noNaN: true });

describe("Dropout", () => {
  test.prop([probability])("does nothing outside training", (p) => {
    const x = Tensor.ones([4]);
    expect(new Dropout(p).forward(x)).toBe(x);
  });

  test.prop([probability, fc.nat(1000)])("zeroes entries or scales them by 1/(1 - p)", (p, seed) => {
    using _ = new Scope();
    const y = withMasks(new Random(seed), () =>
      new Dropout(p).train().forward(Tensor.ones([1000], "float64")),
    );
    const kept = y.toArray().filter((v) => v !== 0);
    for (const value of kept) expect(value).toBeCloseTo(1 / (1 - p), 12);
    // Five standard deviations of a binomial share: once in two million draws.
    expect(Math.abs(kept.length / 1000 - (1 - p))).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 1000));
  });

  test("draws the same masks from the same state of the stream, others after each other", () => {
    using _ = new Scope();
    const dropout = new Dropout(0.5).train();
    const masks = new Random(3);
    const draw = (): number[] => withMasks(masks, () => dropout.forward(Tensor.ones([64]))).toArray();
    const { state } = masks;
    const first = draw();
    expect(draw()).not.toEqual(first);
    masks.restore(state);
    expect(draw()).toEqual(first);
  });

  test("refuses to draw from nowhere", () => {
    const dropout = new Dropout(0.5).train();
    const draw = (): unknown => dropout.forward(Tensor.ones([4]));
    expect(draw).toThrow("Dropout: expected a stream of masks while training, got none");
    expect(() => withMasks(new Random(1), () => withMasks(null, draw))).toThrow("got none");
    expect(() =>
      withMasks(new Random(1), () => {
        throw new Error("mine");
      }),
    ).toThrow("mine");
    expect(draw).toThrow("got none"); // also after a body that threw
  });

  test("passes the gradient where it passed the value", () => {
    using _ = new Scope();
    const x = Tensor.ones([32]).tracked();
    const y = withMasks(new Random(1), () => new Dropout(0.5).train().forward(x));
    expect(grad(y.sum(), [x])[0]?.toArray()).toEqual(y.toArray());
  });

  test("refuses what is no probability", () => {
    for (const p of [-0.1, 1, Number.NaN]) expect(() => new Dropout(p)).toThrow("probability in [0, 1)");
  });
});
