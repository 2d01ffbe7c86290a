/** Losses: their formulas on numbers, the laws that tie them to each other, and gradients that stay numbers. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { concat, grad, Random, Scope, Tensor } from "../../core/index.ts";
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  huberLoss,
  klDiv,
  l1Loss,
  logSoftmax,
  mseLoss,
  nllLoss,
  smoothL1Loss,
} from "../../nn/index.ts";

const f64 = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  Tensor.from(values, shape, "float64");
const total = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0);
const value = fc.double({ min: -6, max: 6, noNaN: true });
const pairs = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 6 });

/** In float64 a loss on tensors differs from the same on numbers by rounding alone. */
function expectClose(got: Tensor, expected: readonly number[]): void {
  expect(got.size).toBe(expected.length);
  expected.forEach((each, i) => {
    expect(got.data[i]).toBeCloseTo(each, 10);
  });
}

const huber = (d: number, delta: number): number =>
  Math.abs(d) <= delta ? 0.5 * d * d : delta * (Math.abs(d) - 0.5 * delta);
const elementwise: Record<string, [typeof l1Loss, (x: number, t: number) => number]> = {
  l1Loss: [l1Loss, (x, t) => Math.abs(x - t)],
  mseLoss: [mseLoss, (x, t) => (x - t) ** 2],
  "huberLoss of δ 0.7": [(x, t, o) => huberLoss(x, t, { ...o, delta: 0.7 }), (x, t) => huber(x - t, 0.7)],
  "smoothL1Loss of β 2": [(x, t, o) => smoothL1Loss(x, t, { ...o, beta: 2 }), (x, t) => huber(x - t, 2) / 2],
  binaryCrossEntropyWithLogits: [
    binaryCrossEntropyWithLogits,
    (x, t) => Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x))),
  ],
};

describe.each(Object.entries(elementwise))("%s", (_, [loss, formula]) => {
  test.prop([pairs])("is its formula, reduced as it is told", (list) => {
    using _scope = new Scope();
    const [x, t] = [f64(list.map(([a]) => a)), f64(list.map(([, b]) => b))];
    const expected = list.map(([a, b]) => formula(a, b));
    expectClose(loss(x, t, { reduction: "none" }), expected);
    expectClose(loss(x, t, { reduction: "sum" }), [total(expected)]);
    expectClose(loss(x, t), [total(expected) / list.length]);
  });

  test.prop([value, value])("has the slope of its formula", (a, b) => {
    fc.pre(
      Math.abs(Math.abs(a - b) - 0.7) > 1e-4 &&
        Math.abs(Math.abs(a - b) - 2) > 1e-4 &&
        Math.abs(a - b) > 1e-4,
    );
    using _scope = new Scope();
    const x = f64([a]).tracked();
    const [slope] = grad(loss(x, f64([b])), [x]);
    const h = 1e-6;
    expect(slope?.item()).toBeCloseTo((formula(a + h, b) - formula(a - h, b)) / (2 * h), 4);
  });
});

describe("binary cross-entropy", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  test.prop([
    fc.array(fc.tuple(fc.double({ min: -12, max: 12, noNaN: true }), share), { minLength: 1, maxLength: 5 }),
  ])("of probabilities is that of their logits", (list) => {
    using _ = new Scope();
    const [x, t] = [f64(list.map(([a]) => a)), f64(list.map(([, b]) => b))];
    const logits = binaryCrossEntropyWithLogits(x, t, { reduction: "none" });
    // 1 − sigmoid(12) has 11 digits left.
    binaryCrossEntropy(x.sigmoid(), t, { reduction: "none" }).data.forEach((loss: number, i: number) => {
      expect(loss).toBeCloseTo(logits.data[i], 8);
    });
  });

  test("costs 100 nats at most where it is certain and wrong, and logits cost what they are", () => {
    using _ = new Scope();
    expectClose(
      binaryCrossEntropy(f64([0, 1, 0, 1]), f64([1, 0, 0, 1]), { reduction: "none" }),
      [100, 100, 0, 0],
    );
    expectClose(
      binaryCrossEntropyWithLogits(f64([800, -800]), f64([0, 1]), { reduction: "none" }),
      [800, 800],
    );
  });
});

const rows = fc.record({
  R: fc.integer({ min: 1, max: 5 }),
  C: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(1000),
});

/** Logits (R, C), a class for each row, and probabilities for each row. */
function drawn({ R, C, seed }: { R: number; C: number; seed: number }) {
  const random = new Random(seed);
  const x = random.normals([R, C], "float64").mul(3);
  const classes = Array.from({ length: R }, () => random.integer(C));
  return {
    x,
    classes,
    ids: Tensor.from(classes, [R], "int32"),
    q: random.normals([R, C], "float64").softmax(),
  };
}

describe("cross-entropy", () => {
  test.prop([rows])("is the negative log-likelihood of log softmax", (sizes) => {
    using _ = new Scope();
    const { x, ids, classes } = drawn(sizes);
    const expected = classes.map((c, r) => {
      const row = Array.from({ length: sizes.C }, (_, j) => x.data[r * sizes.C + j]);
      return Math.log(total(row.map(Math.exp))) - row[c];
    });
    expectClose(crossEntropy(x, ids, { reduction: "none" }), expected);
    expectClose(nllLoss(logSoftmax(x), ids, { reduction: "none" }), expected);
    expectClose(crossEntropy(x, ids), [total(expected) / sizes.R]);
    expectClose(
      logSoftmax(x).exp().sum([1]),
      expected.map(() => 1),
    );
  });

  test.prop([rows, fc.constantFrom(0, 0.1, 0.6)])(
    "of classes is that of probabilities that are certain",
    (sizes, labelSmoothing) => {
      using _ = new Scope();
      const { x, ids, classes, q } = drawn(sizes);
      const certain = f64(
        classes.flatMap((c) => Array.from({ length: sizes.C }, (_, j) => Number(j === c))),
        [sizes.R, sizes.C],
      );
      const options = { reduction: "none", labelSmoothing } as const;
      expectClose(crossEntropy(x, ids, options), crossEntropy(x, certain, options).toArray());
      const spread = q.scale(1 - labelSmoothing).shift(labelSmoothing / sizes.C);
      expectClose(crossEntropy(x, q, options), crossEntropy(x, spread, { reduction: "none" }).toArray());
    },
  );

  test.prop([rows, fc.constantFrom(0, 0.3)])("multiplies by what a class counts", (sizes, labelSmoothing) => {
    using _ = new Scope();
    const { x, ids, classes, q } = drawn(sizes);
    const weight = new Random(sizes.seed, 1).uniforms([sizes.C], 0.5, 2, "float64");
    const options = { weight, labelSmoothing };
    const smooth = (target: Tensor) => target.scale(1 - labelSmoothing).shift(labelSmoothing / sizes.C);
    const byFormula = (target: Tensor) => smooth(target).mul(logSoftmax(x)).mul(weight).sum([1]).neg();
    const losses = byFormula(ids.oneHot(sizes.C, "float64"));
    expectClose(crossEntropy(x, ids, { ...options, reduction: "none" }), losses.toArray());
    expectClose(crossEntropy(x, q, { ...options, reduction: "none" }), byFormula(q).toArray());
    // As in PyTorch: the mean of classes is weighted, that of probabilities is not.
    expectClose(crossEntropy(x, ids, options), [
      losses.sum().item() / total(classes.map((c) => weight.data[c])),
    ]);
    expectClose(crossEntropy(x, q, options), [byFormula(q).mean().item()]);
    // An ignored class counts nothing in either sum.
    const more = concat([ids, Tensor.from([-1], [1], "int32")], 0);
    const wider = concat([x, x.slice(0, 0, 1)], 0);
    const ignoring = { ...options, ignoreIndex: -1 };
    expectClose(crossEntropy(wider, more, ignoring), [crossEntropy(x, ids, options).item()]);
    expectClose(nllLoss(logSoftmax(x), ids, { weight }), [crossEntropy(x, ids, { weight }).item()]);
  });

  test.prop([rows])("has the gradient softmax(x) − target", (sizes) => {
    using _ = new Scope();
    const { x, ids, classes } = drawn(sizes);
    const [slope] = grad(crossEntropy(x.tracked(), ids, { reduction: "sum" }), [x]);
    const p = x.softmax();
    expectClose(
      slope as Tensor,
      p.toArray().map((v, i) => v - Number(i % sizes.C === classes[Math.floor(i / sizes.C)])),
    );
  });

  test.prop([rows, fc.constantFrom(-100, 2)])("leaves out an ignored class", (sizes, ignoreIndex) => {
    using _ = new Scope();
    const { x, classes } = drawn({ ...sizes, C: 3 + sizes.C });
    const given = [ignoreIndex, ...classes.map((c) => (c === ignoreIndex ? 0 : c))];
    const C = 3 + sizes.C;
    const all = f64([...new Array<number>(C).fill(50), ...x.data], [sizes.R + 1, C]);
    const ids = Tensor.from(given, [sizes.R + 1], "int32");
    const kept = crossEntropy(x, Tensor.from(given.slice(1), [sizes.R], "int32"), {
      reduction: "none",
      labelSmoothing: 0.2,
    });
    const options = { ignoreIndex, labelSmoothing: 0.2 };
    expectClose(crossEntropy(all, ids, { ...options, reduction: "none" }), [0, ...kept.data]);
    expectClose(crossEntropy(all, ids, options), [kept.mean().item()]);
  });

  test("takes classes of any shape, and logits however large", () => {
    using _ = new Scope();
    const x = f64([1000, 0, -1000, 0, 0, 0, 0, 1000], [2, 2, 2]);
    const ids = Tensor.from([0, 0, 1, 0], [2, 2], "int32");
    expectClose(crossEntropy(x, ids, { reduction: "none" }), [0, 1000, Math.LN2, 1000]);
    expect(crossEntropy(x, ids, { reduction: "none" }).shape).toEqual([2, 2]);
  });

  test("refuses targets that do not fit", () => {
    using _ = new Scope();
    const x = f64([1, 2, 3, 4], [2, 2]);
    expect(() => crossEntropy(x, f64([0, 1]))).toThrow(
      "crossEntropy: expected a target like the input, float64 (2, 2), got float64 (2)",
    );
    expect(() => crossEntropy(x, Tensor.from([0], [1], "int32"))).toThrow(
      "crossEntropy: expected int32 classes (2), got int32 (1)",
    );
    expect(() => crossEntropy(x, Tensor.from([0, 2], [2], "int32"))).toThrow();
    expect(() => crossEntropy(x, x, { ignoreIndex: 1 })).toThrow("crossEntropy: expected no ignoreIndex");
    expect(() => crossEntropy(x, x, { weight: f64([1, 2, 3]) })).toThrow(
      "crossEntropy: expected weight float64 (2), got float64 (3)",
    );
    expect(() => crossEntropy(x, x, { labelSmoothing: 1 })).toThrow(
      "crossEntropy: expected labelSmoothing in",
    );
    expect(() => mseLoss(x, x, { reduction: "average" as never })).toThrow(
      'mseLoss: expected reduction to be "mean", "sum" or "none", got "average"',
    );
    expect(() => l1Loss(x, 3 as never)).toThrow("l1Loss: expected a target that is a tensor, got 3");
    expect(() => huberLoss(x, x, { delta: 0 })).toThrow("huberLoss: expected delta");
  });
});

describe("klDiv", () => {
  test.prop([rows])("is a divergence: of equals 0, else above, cross-entropy minus entropy", (sizes) => {
    using _ = new Scope();
    const { x, q } = drawn(sizes);
    const logP = logSoftmax(x);
    expectClose(klDiv(q.log(), q, { reduction: "sum" }), [0]);
    const divergence = klDiv(logP, q, { reduction: "sum" }).item();
    expect(divergence).toBeGreaterThanOrEqual(-1e-12);
    const entropy = crossEntropy(q.log(), q, { reduction: "sum" }).item();
    expect(divergence).toBeCloseTo(crossEntropy(x, q, { reduction: "sum" }).item() - entropy, 9);
    expectClose(klDiv(logP, q.log(), { reduction: "sum", logTarget: true }), [divergence]);
    expectClose(klDiv(logP, q, { reduction: "batchMean" }), [divergence / sizes.R]);
  });

  test("of a target of 0 is 0, and its gradient a number", () => {
    using _ = new Scope();
    const [logP, t] = [f64([-1, -2]).tracked(), f64([0, 1]).tracked()];
    const loss = klDiv(logP, t, { reduction: "sum" });
    expect(loss.item()).toBe(2);
    const [byP, byT] = grad(loss, [logP, t]).map((g) => g?.toArray());
    expect(byP).toEqual([-0, -1]);
    expect(byT?.every(Number.isFinite)).toBe(true);
  });
});
