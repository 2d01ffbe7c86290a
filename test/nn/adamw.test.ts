import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, noGrad, Random, Scope, Tensor } from "../../core/index.ts";
import { type AdamOptions, AdamW, inDType, Linear, Module } from "../../nn/index.ts";

const options: AdamOptions = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05 };
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
      "AdamW.step: p: expected a gradient of its shape, float64 (3), got float64 (1)",
    );
    expect(() => optimizer.load(new Map())).toThrow("expected an entry p.m, got none");
  });

  test("has the defaults of PyTorch, the learning rate apart", () => {
    const [a, b] = [vector([1, 2, 3]), vector([1, 2, 3])];
    new AdamW([["p", a]]).step([vector([1, -1, 0])], 0.1);
    new AdamW([["p", b]], { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 }).step(
      [vector([1, -1, 0])],
      0.1,
    );
    expect(a.toArray()).toEqual(b.toArray());
  });

  test("refuses to do nothing: gradients that are all null say that nothing trains", () => {
    using _ = new Scope();
    const layer = new Linear(2, 1).init(new Random(1));
    const optimizer = new AdamW(layer.namedParameters());
    const before = layer.stateDict();
    const x = Tensor.ones([3, 2]);
    const losses = [noGrad(() => layer.forward(x).sum()), layer.forward(x).detach().sum(), x.sum()];
    for (const loss of losses) {
      expect(() => optimizer.step(grad(loss, optimizer.parameters), 0.1)).toThrow(
        "AdamW.step: expected a gradient, got null for every parameter: the loss does not depend on them",
      );
    }
    expect(layer.stateDict()).toEqual(before);
    expect(optimizer.stateDict().get("weight.steps")?.data).toEqual(BigInt64Array.of(0n));
  });

  test("changes nothing when one gradient of many does not fit", () => {
    const [p, q] = [vector([1, 2, 3]), vector([1, 2, 3])];
    const optimizer = new AdamW([
      ["p", p],
      ["q", q],
    ]);
    expect(() => optimizer.step([vector([1, 1, 1]), vector([1])], 0.1)).toThrow("AdamW.step: q: expected");
    expect(p.toArray()).toEqual([1, 2, 3]);
  });

  test("changes nothing when a state does not fit", () => {
    const make = (): AdamW =>
      new AdamW([
        ["p", vector([1])],
        ["q", vector([1])],
      ]);
    const [source, optimizer] = [make(), make()];
    source.step([vector([1]), vector([1])], 0.1);
    const [dict, before] = [source.stateDict(), optimizer.stateDict()];
    dict.set("q.v", { dtype: "F64", shape: [2], data: Float64Array.of(1, 2) });
    expect(() => optimizer.load(dict)).toThrow("AdamW.load: q: expected (1), got (2)");
    dict.set("q.v", { dtype: "F64", shape: [1], data: Float64Array.of(1) });
    dict.set("q.steps", { dtype: "I64", shape: [], data: BigInt64Array.of(-1n) });
    expect(() => optimizer.load(dict)).toThrow("AdamW.load: q: expected a number of steps, got -1");
    expect(optimizer.stateDict()).toEqual(before);
  });

  /** |w (w x + x)|², with w under two names. */
  class Twice extends Module {
    first = new Linear(2, 2, { bias: false });
    second = this.first;

    loss(x: Tensor): Tensor {
      return this.second.forward(this.first.forward(x).add(x)).square().sum();
    }
  }

  test.prop([fc.nat(), fc.integer({ min: 1, max: 5 }), rate])(
    "k steps with a tied weight are k steps with the one weight, whatever list it comes in",
    (seed, steps, lr) => {
      const train = (parameters: (net: Twice) => [string, Tensor][]): number[] => {
        using _ = new Scope();
        const net = inDType("float64", () => new Twice()).init(new Random(seed));
        const optimizer = new AdamW(parameters(net), options);
        const random = new Random(seed, 1);
        for (let step = 0; step < steps; step++)
          optimizer.step(grad(net.loss(random.normals([3, 2], "float64")), optimizer.parameters), lr);
        return net.first.weight.toArray();
      };
      const once = train((net) => [["weight", net.first.weight]]);
      expect(train((net) => net.namedParameters())).toEqual(once);
      expect(train((net) => [...net.namedTensors()])).toEqual(once); // both names
    },
  );
});
