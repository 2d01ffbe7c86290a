/** SGD and Adam: PyTorch's formulas, step by step, and what they come to on a quadratic. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Scope, Tensor } from "../../core/index.ts";
import {
  Adam,
  AdamW,
  clipGradNorm,
  clipGradValue,
  gradientNorm,
  type NamedParameters,
  type Optimizer,
  SGD,
  type SgdOptions,
  TrainingStep,
} from "../../nn/index.ts";

const vector = (values: readonly number[]): Tensor => Tensor.from(values, [values.length], "float64");
const numbers = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 3, maxLength: 3 });
const rows = fc.array(numbers, { minLength: 1, maxLength: 5 });
const rate = fc.double({ min: 1e-4, max: 0.1, noNaN: true });
const momentum = fc.constantFrom(0, 0.5, 0.9);

/** In float64 a few steps differ from the same steps on numbers by rounding alone. */
function expectClose(got: Tensor, expected: readonly number[]): void {
  expected.forEach((value, i) => {
    expect(got.data[i]).toBeCloseTo(value, 10);
  });
}

describe("SGD", () => {
  test.prop([numbers, rows, rate, momentum, fc.boolean(), fc.constantFrom(0, 0.1)])(
    "follows the formulas of torch.optim.SGD",
    (start, gradients, lr, mu, wantsNesterov, weightDecay) => {
      using _ = new Scope();
      const p = vector(start);
      const nesterov = wantsNesterov && mu > 0;
      const optimizer = new SGD([["p", p]], { momentum: mu, nesterov, weightDecay });
      const expected = [...start];
      const buffer: number[] = [];
      for (const g of gradients) {
        optimizer.step([vector(g)], lr);
        for (let i = 0; i < 3; i++) {
          const d = g[i] + weightDecay * expected[i];
          buffer[i] = i in buffer ? mu * buffer[i] + d : d;
          expected[i] -= lr * (nesterov ? d + mu * buffer[i] : buffer[i]);
        }
      }
      expectClose(p, expected);
    },
  );

  test.prop([numbers, rate, fc.integer({ min: 1, max: 40 })])(
    "shrinks ½ p² by 1 − lr at each step",
    (start, lr, steps) => {
      using _ = new Scope();
      const p = vector(start);
      const optimizer = new SGD([["p", p]]);
      for (let i = 0; i < steps; i++) optimizer.step([p.copy()], lr);
      expectClose(
        p,
        start.map((value) => value * (1 - lr) ** steps),
      );
    },
  );

  test("with momentum follows the recurrence of ½ p², whose roots are known", () => {
    using _ = new Scope();
    const [lr, mu] = [0.1, 0.3];
    const p = vector([1]);
    const optimizer = new SGD([["p", p]], { momentum: mu });
    for (let i = 0; i < 12; i++) optimizer.step([p.copy()], lr);
    // pₙ₊₁ = (1 + μ − lr) pₙ − μ pₙ₋₁ with p₀ = 1, p₁ = 1 − lr: a sum of powers of the roots of r² − (1 + μ − lr) r +
    // μ.
    const [b, root] = [1 + mu - lr, Math.sqrt((1 + mu - lr) ** 2 - 4 * mu)];
    const [r, s] = [(b + root) / 2, (b - root) / 2];
    const c = (1 - lr - s) / (r - s);
    expectClose(p, [c * r ** 12 + (1 - c) * s ** 12]);
  });

  test("refuses what cannot be", () => {
    const make = (options: object) => () => new SGD([["p", vector([1])]], options as SgdOptions);
    expect(make({ momentum: 1 })).toThrow("SGD: expected momentum in [0, 1), got 1");
    expect(make({ nesterov: true })).toThrow("SGD: expected momentum above 0 with nesterov, got 0");
    expect(make({ nesterov: 1, momentum: 0.1 })).toThrow("SGD: expected nesterov to be true or false");
    expect(make({ lr: 1 })).toThrow("SGD: expected options");
    expect(() => new SGD([])).toThrow("SGD: expected one parameter at least");
  });
});

describe("Adam", () => {
  test.prop([numbers, rows, rate, fc.constantFrom(0, 0.1)])(
    "follows algorithm 1 of arXiv:1412.6980, its decay a penalty in the loss",
    (start, gradients, lr, weightDecay) => {
      using _ = new Scope();
      const p = vector(start);
      const optimizer = new Adam([["p", p]], { weightDecay, eps: 1e-3 });
      const expected = [...start];
      const [m, v] = [
        [0, 0, 0],
        [0, 0, 0],
      ];
      gradients.forEach((row, step) => {
        optimizer.step([vector(row)], lr);
        for (let i = 0; i < 3; i++) {
          const g = row[i] + weightDecay * expected[i];
          m[i] = 0.9 * m[i] + 0.1 * g;
          v[i] = 0.999 * v[i] + 0.001 * g ** 2;
          const [mHat, vHat] = [m[i] / (1 - 0.9 ** (step + 1)), v[i] / (1 - 0.999 ** (step + 1))];
          expected[i] -= (lr * mHat) / (Math.sqrt(vHat) + 1e-3);
        }
      });
      expectClose(p, expected);
    },
  );

  test.prop([numbers, rows])("is AdamW where nothing is decayed", (start, gradients) => {
    using _ = new Scope();
    const [a, b] = [vector(start), vector(start)];
    const [adam, adamW] = [new Adam([["p", a]]), new AdamW([["p", b]], { weightDecay: 0 })];
    for (const g of gradients) for (const one of [adam, adamW]) one.step([vector(g)], 0.1);
    expect(a.toArray()).toEqual(b.toArray());
  });
});

const makers: Record<string, (parameters: NamedParameters) => Optimizer> = {
  SGD: (parameters) => new SGD(parameters, { weightDecay: 0.1 }),
  "SGD with momentum": (parameters) => new SGD(parameters, { momentum: 0.9, nesterov: true }),
  Adam: (parameters) => new Adam(parameters, { weightDecay: 0.1 }),
  AdamW: (parameters) => new AdamW(parameters),
};

describe.each(Object.entries(makers))("%s", (_, make) => {
  test.prop([rows, rows], { numRuns: 20 })(
    "goes on from its state as if it had never stopped",
    (before, after) => {
      using _ = new Scope();
      const [p, q] = [vector([1, 2, 3]), vector([1, 2, 3])];
      const whole = make([["p", p]]);
      for (const g of [...before, ...after]) whole.step([vector(g)], 0.01);
      const first = make([["p", q]]);
      for (const g of before) first.step([vector(g)], 0.01);
      const second = make([["p", q]]);
      second.load(first.stateDict());
      for (const g of after) second.step([vector(g)], 0.01);
      expect(q.toArray()).toEqual(p.toArray());
      expect(second.stateDict()).toEqual(whole.stateDict());
    },
  );

  test("trains in a TrainingStep, and reaches the smallest loss", async () => {
    const p = Tensor.from([3, -2], [2], "float64").tracked();
    const target = Tensor.from([1, 5], [2], "float64");
    const optimizer = make([["p", p]]);
    using step = new TrainingStep((x) => p.sub(x).square().sum(), optimizer, [target]);
    let loss = Infinity;
    for (let i = 0; i < 300; i++) ({ loss } = await step.run([target], 0.2 * 0.99 ** i));
    // A penalty of 0.1 leaves a loss of 0.05² · (1² + 5²) / 1.05² = 0.06, and Adam's penalty is as small.
    expect(loss).toBeLessThan(0.1);
    optimizer.dispose();
    for (const each of [p, target]) each.dispose();
  });
});

describe("clipping", () => {
  const gradients = fc.array(numbers, { minLength: 1, maxLength: 3 });
  const most = fc.double({ min: 0.01, max: 20, noNaN: true });
  const norm = (lists: readonly (readonly number[])[]): number => Math.hypot(...lists.flat());

  test.prop([gradients, most])(
    "by norm keeps the direction, and the norm within its bound",
    async (lists, bound) => {
      const given = lists.map(vector);
      expect(await gradientNorm([...given, null])).toBeCloseTo(norm(lists), 10);
      expect(await clipGradNorm([null, ...given], bound)).toBeCloseTo(norm(lists), 10);
      const factor = Math.min(1, bound / norm(lists));
      given.forEach((gradient, i) => {
        expectClose(
          gradient,
          lists[i].map((value) => (norm(lists) === 0 ? value : value * factor)),
        );
        gradient.dispose();
      });
    },
  );

  test.prop([gradients, most])("by value cuts each number off", (lists, bound) => {
    using _ = new Scope();
    const given = lists.map(vector);
    clipGradValue([null, ...given], bound);
    given.forEach((gradient, i) => {
      expect(gradient.toArray()).toEqual(lists[i].map((value) => Math.max(-bound, Math.min(bound, value))));
    });
  });

  test("by value is an option of TrainingStep, measured after it", async () => {
    const p = Tensor.from([0, 0], [2], "float64").tracked();
    const x = Tensor.from([100, 0.1], [2], "float64");
    const options = { clipValue: 1, clip: Infinity };
    using step = new TrainingStep((y) => p.mul(y).sum(), new SGD([["p", p]]), [x], options);
    const { gradientNorm: measured } = await step.run([x], 1);
    expect(p.toArray()).toEqual([-1, -0.1]);
    expect(measured).toBeCloseTo(Math.hypot(1, 0.1), 12);
    for (const each of [p, x]) each.dispose();
  });

  test("refuses bounds and gradients that are none", async () => {
    await expect(clipGradNorm([], 0)).rejects.toThrow("clipGradNorm: expected the largest norm");
    await expect(gradientNorm([3 as never])).rejects.toThrow("gradientNorm: expected gradients, got 3");
    expect(() => clipGradValue(vector([1]) as never, 1)).toThrow("clipGradValue: expected an array");
    expect(await gradientNorm([null])).toBe(0);
  });
});
