import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Tensor } from "../../core/index.ts";
import { AdamW, type AdamWOptions } from "../../nn/index.ts";

const options: AdamWOptions = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05 };
const vector = (values: readonly number[]): Tensor => Tensor.from(values, [values.length], "float64");
const numbers = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 3, maxLength: 3 });
const signed = fc
  .tuple(fc.constantFrom(-1, 1), fc.double({ min: 1e-3, max: 5, noNaN: true }))
  .map(([sign, value]) => sign * value);
const rate = fc.double({ min: 1e-5, max: 0.1, noNaN: true });

describe("AdamW", () => {
  test.prop([numbers, fc.array(numbers, { minLength: 1, maxLength: 5 }), rate])(
    "follows algorithm 2 of arXiv:1711.05101, as it is written there",
    (start, gradients, lr) => {
      const p = vector(start);
      const optimizer = new AdamW([["p", p]], options);
      const expected = [...start];
      const m = [0, 0, 0];
      const v = [0, 0, 0];
      gradients.forEach((g, step) => {
        optimizer.step([vector(g)], lr);
        for (let i = 0; i < 3; i++) {
          m[i] = 0.9 * m[i] + 0.1 * g[i];
          v[i] = 0.95 * v[i] + 0.05 * g[i] ** 2;
          const [mHat, vHat] = [m[i] / (1 - 0.9 ** (step + 1)), v[i] / (1 - 0.95 ** (step + 1))];
          expected[i] -= lr * (mHat / (Math.sqrt(vHat) + 1e-8) + 0.05 * expected[i]);
        }
      });
      expected.forEach((value, i) => {
        expect(p.data[i]).toBeCloseTo(value, 9);
      });
    },
  );

  test.prop([fc.tuple(signed, signed, signed), rate])(
    "a first step moves each entry by the learning rate, whatever its gradient",
    (g, lr) => {
      const p = vector([0, 0, 0]);
      new AdamW([["p", p]], { ...options, eps: 0 }).step([vector(g)], lr);
      g.forEach((value, i) => {
        expect(p.data[i]).toBeCloseTo(-lr * Math.sign(value), 12);
      });
    },
  );

  test("decays only what the rule names; a parameter without a gradient is left alone", () => {
    const [decayed, spared, idle] = [vector([1]), vector([1]), vector([1])];
    const optimizer = new AdamW(
      [
        ["weight", decayed],
        ["bias", spared],
        ["unused.weight", idle],
      ],
      { ...options, decays: (name) => !name.includes("bias") },
    );
    expect(optimizer.groups).toEqual({ decay: ["weight", "unused.weight"], noDecay: ["bias"] });
    optimizer.step([vector([0]), vector([0]), null], 0.1);
    expect([decayed, spared, idle].map((p) => p.item())).toEqual([1 - 0.1 * 0.05, 1, 1]);
  });

  test.prop([fc.array(numbers, { minLength: 2, maxLength: 4 })])("goes on from its state", (gradients) => {
    const [a, b] = [vector([1, 2, 3]), vector([1, 2, 3])];
    const whole = new AdamW([["p", a]], options);
    for (const g of gradients) whole.step([vector(g)], 0.01);
    const first = new AdamW([["p", b]], options);
    first.step([vector(gradients[0])], 0.01);
    const second = new AdamW([["p", b]], options);
    second.load(first.stateDict());
    for (const g of gradients.slice(1)) second.step([vector(g)], 0.01);
    expect(b.toArray()).toEqual(a.toArray());
  });

  test("refuses gradients that do not fit, and states that lack an entry", () => {
    const optimizer = new AdamW([["p", vector([1, 2, 3])]], options);
    expect(() => optimizer.step([], 0.1)).toThrow("expected 1 gradients, got 0");
    expect(() => optimizer.step([vector([1])], 0.1)).toThrow(
      "AdamW: p: expected a gradient of shape (3), got (1)",
    );
    expect(() => optimizer.load(new Map())).toThrow("expected an entry p.m, got none");
  });
});
