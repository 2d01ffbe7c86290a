/** Batch, group and instance normalisation: what comes out is standard, and running statistics follow. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor, tidy } from "../../core/index.ts";
import {
  BatchNorm,
  GroupNorm,
  InstanceNorm,
  inDType,
  LayerNorm,
  Linear,
  recomputed,
  Sequential,
  SGD,
  TrainingStep,
} from "../../nn/index.ts";

const sizes = fc.record({
  B: fc.integer({ min: 2, max: 5 }),
  P: fc.integer({ min: 2, max: 4 }),
  C: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(1000),
});
const f64 = <T>(make: () => T): T => inDType("float64", make);

function input({ B, P, C, seed }: { B: number; P: number; C: number; seed: number }): Tensor {
  return new Random(seed).normals([B, P, C], "float64").mul(3).add(5);
}

/** Mean and variance (divided by N) of the numbers of x that `belongs` picks. */
function statistics(
  x: Tensor,
  belongs: (i: number) => boolean,
): { mean: number; variance: number; count: number } {
  const values = Array.from(x.data).filter((_, i) => belongs(i));
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, variance, count: values.length };
}

/** What eps leaves of a variance of about 9. */
const NEARLY = 1e-5;

describe("BatchNorm", () => {
  test.prop([sizes])(
    "makes each channel of a batch standard while training, then scales and shifts it",
    (of) => {
      using _ = new Scope();
      const norm = f64(() => new BatchNorm(of.C))
        .init(new Random(0))
        .train();
      const y = norm.forward(input(of));
      for (let c = 0; c < of.C; c++) {
        const { mean, variance } = statistics(y, (i) => i % of.C === c);
        expect(Math.abs(mean)).toBeLessThan(1e-12);
        expect(Math.abs(variance - 1)).toBeLessThan(NEARLY * 100); // the variance of four numbers may be small
      }
      norm.weight.write(norm.weight.data.map((_: number, c: number) => c + 2));
      norm.bias.fill(7);
      const scaled = norm.forward(input(of));
      scaled.data.forEach((value: number, i: number) => {
        expect(value).toBeCloseTo(y.data[i] * ((i % of.C) + 2) + 7, 10);
      });
      norm.dispose();
    },
  );

  test.prop([sizes, fc.constantFrom(0.1, 0.5, 1)])(
    "moves its running statistics by momentum, and uses them in evaluation",
    (of, momentum) => {
      using _ = new Scope();
      const norm = f64(() => new BatchNorm(of.C, { momentum }))
        .init(new Random(0))
        .train();
      const batches = [input(of), input({ ...of, seed: of.seed + 1 })];
      const expected = Array.from({ length: of.C }, () => ({ mean: 0, variance: 1 }));
      for (const x of batches) {
        norm.forward(x);
        expected.forEach((running, c) => {
          const { mean, variance, count } = statistics(x, (i) => i % of.C === c);
          running.mean += momentum * (mean - running.mean);
          running.variance += momentum * ((variance * count) / (count - 1) - running.variance);
        });
      }
      expected.forEach(({ mean, variance }, c) => {
        expect(norm.running_mean.data[c]).toBeCloseTo(mean, 10);
        expect(norm.running_var.data[c]).toBeCloseTo(variance, 10);
      });
      expect(norm.num_batches_tracked.item()).toBe(2);
      norm.eval();
      const before = norm.stateDict();
      const y = norm.forward(batches[0]);
      y.data.forEach((value: number, i: number) => {
        const { mean, variance } = expected[i % of.C];
        expect(value).toBeCloseTo((batches[0].data[i] - mean) / Math.sqrt(variance + 1e-5), 9);
      });
      expect(norm.stateDict()).toEqual(before);
      norm.dispose();
    },
  );

  test("has PyTorch's names", () => {
    const names = [...new BatchNorm(2).namedTensors()].map(([name]) => name);
    expect(names.join()).toBe("weight,bias,running_mean,running_var,num_batches_tracked");
  });

  test("in a captured training step does what it does step by step", async () => {
    const make = () => {
      const net = f64(() => new Sequential(new Linear(3, 4), new BatchNorm(4), new Linear(4, 1)));
      const optimizer = new SGD(net.init(new Random(1)).train().namedParameters(), { momentum: 0.9 });
      return { net, optimizer };
    };
    const [eager, planned] = [make(), make()];
    const batches = [1, 2, 3].map((seed) => new Random(seed).normals([6, 3], "float64"));
    for (const x of batches)
      tidy(() => {
        const loss = eager.net.forward(x).square().mean();
        eager.optimizer.step(grad(loss, eager.optimizer.parameters), 0.1);
      });
    using step = new TrainingStep((x) => planned.net.forward(x).square().mean(), planned.optimizer, [
      batches[0],
    ]);
    expect(planned.net.stateDict().get("1.num_batches_tracked")?.data[0]).toBe(0n); // capturing is no batch
    for (const x of batches) await step.run([x], 0.1);
    expect(planned.net.stateDict()).toEqual(eager.net.stateDict());
    expect(planned.net.stateDict().get("1.num_batches_tracked")?.data[0]).toBe(3n);
    const broken = Tensor.full([6, 3], Number.NaN, "float64");
    const before = planned.net.stateDict();
    await expect(step.run([broken], 0.1)).rejects.toThrow("nothing was updated");
    expect(planned.net.stateDict()).toEqual(before);
    for (const one of [eager, planned]) {
      one.net.dispose();
      one.optimizer.dispose();
    }
    for (const x of [...batches, broken]) x.dispose();
  });

  test("computed once more on the way back, counts a batch once", () => {
    using _ = new Scope();
    const norm = f64(() => new BatchNorm(3))
      .init(new Random(0))
      .train();
    const x = input({ B: 3, P: 2, C: 3, seed: 4 });
    const plain = grad(norm.forward(x).square().mean(), norm.parameters());
    const other = f64(() => new BatchNorm(3))
      .init(new Random(0))
      .train();
    const again = grad(
      recomputed(other, (y) => other.forward(y), x)
        .square()
        .mean(),
      other.parameters(),
    );
    expect(again.map((g) => g?.toArray())).toEqual(plain.map((g) => g?.toArray()));
    expect(other.stateDict()).toEqual(norm.stateDict());
    for (const one of [norm, other]) one.dispose();
  });

  test("refuses one value per channel while training, and what cannot be", () => {
    const norm = new BatchNorm(2).init(new Random(0));
    expect(() => norm.forward(Tensor.zeros([3, 1]))).toThrow("BatchNorm: expected a batch (B, …, 2)");
    expect(norm.forward(Tensor.ones([1, 2])).shape).toEqual([1, 2]);
    norm.train();
    expect(() => norm.forward(Tensor.ones([1, 2]))).toThrow("more than one value per channel while training");
    expect(() => new BatchNorm(2, { momentum: 2 })).toThrow("BatchNorm: expected momentum in [0, 1], got 2");
    norm.dispose();
  });
});

describe("GroupNorm and InstanceNorm", () => {
  test.prop([sizes, fc.constantFrom(1, 2, 4)])("make each group of each sample standard", (of, groups) => {
    using _ = new Scope();
    const C = of.C * groups;
    const x = input({ ...of, C });
    const y = f64(() => new GroupNorm(groups, C))
      .init(new Random(0))
      .forward(x);
    const perSample = of.P * C;
    for (let b = 0; b < of.B; b++)
      for (let g = 0; g < groups; g++) {
        const belongs = (i: number): boolean =>
          Math.floor(i / perSample) === b && Math.floor((i % C) / of.C) === g;
        const [before, { mean, variance }] = [statistics(x, belongs), statistics(y, belongs)];
        expect(Math.abs(mean)).toBeLessThan(1e-10);
        expect(variance).toBeCloseTo(before.variance / (before.variance + 1e-5), 9);
      }
    const instance = f64(() => new InstanceNorm(C, { affine: true })).init(new Random(0));
    const each = f64(() => new GroupNorm(C, C)).init(new Random(0));
    expect(instance.forward(x).toArray()).toEqual(each.forward(x).toArray());
    expect(new InstanceNorm(C).parameters()).toEqual([]);
  });

  test("are LayerNorm where one group is all there is", () => {
    using _ = new Scope();
    const x = new Random(3).normals([4, 6], "float64");
    const group = f64(() => new GroupNorm(1, 6)).init(new Random(0));
    const layer = f64(() => new LayerNorm(6)).init(new Random(0));
    const expected = layer.forward(x);
    group.forward(x).data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(expected.data[i], 12);
    });
  });
});
