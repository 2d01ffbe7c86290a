import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor } from "../../core/index.ts";
import {
  ActNorm,
  AffineCoupling,
  Chain,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  InvertiblePLU,
  integrate,
  JointAffineCoupling,
  keeping,
  MlpConditioner,
  Permutation,
  type ScaleShiftNet,
  StandardNormal,
} from "../../flows/index.ts";
import { disposeAll, drawParameters, instancesOf, laws, Trial, tryLaw } from "../../flows/laws/index.ts";
import { inDType, Linear, Module } from "../../nn/index.ts";

const N = 4;
const net = () => new MlpConditioner({ kept: 2, condition: 3, width: 8, outputs: 2 });
const small = (): Flow =>
  inDType(
    "float64",
    () =>
      new Flow(
        [new Permutation(N), new AffineCoupling(net(), net()), new InvertiblePLU(N)],
        new StandardNormal([N]),
      ),
  ).init(new Random(5));

describe("Flow", () => {
  const flow = small();

  test("log-probability is the sum of its terms", () => {
    using _ = new Scope();
    const [x, condition] = [
      new Random(1).normals([3, N], "float64"),
      new Random(2).normals([3, 3], "float64"),
    ];
    const { base, layers } = flow.logProbTerms(x, condition);
    expect(layers).toHaveLength(3);
    const sum = layers.reduce((total, term) => total.add(term), base);
    const whole = flow.logProb(x, condition);
    sum.data.forEach((value, i) => {
      expect(value).toBeCloseTo(whole.data[i], 12);
    });
  });

  test("a sample is a function of the seed, and has the flow's dtype", () => {
    using _ = new Scope();
    const condition = Tensor.zeros([2, 3], "float64");
    const draw = (seed: number) => flow.sample(2, new Random(seed), { condition });
    expect(draw(1).dtype).toBe("float64");
    expect(draw(1).toArray()).toEqual(draw(1).toArray());
    expect(draw(1).toArray()).not.toEqual(draw(2).toArray());
  });

  test.prop([fc.double({ min: 0, max: 2, noNaN: true })])("temperature scales the noise", (temperature) => {
    using _ = new Scope();
    const condition = Tensor.zeros([2, 3], "float64");
    const z = new Random(9).normals([2, N], "float64").scale(temperature);
    expect(flow.sample(2, new Random(9), { condition, temperature }).toArray()).toEqual(
      flow.inverse(z, condition).out.toArray(),
    );
  });

  test("gradients reach the parameters through the inverse too", () => {
    using _ = new Scope();
    const z = new Random(1).normals([2, N], "float64");
    const gradients = grad(
      flow
        .inverse(z, Tensor.zeros([2, 3], "float64"))
        .out.square()
        .sum(),
      flow.parameters(),
    );
    expect(gradients.every((g) => g?.data.some((v) => v !== 0))).toBe(true);
  });
});

describe("events of any shape", () => {
  test("are permuted along their first axis, multiplied flattened, coupled in halves: the laws hold", () => {
    using _ = new Scope();
    const event = [4, 3];
    class Tokens extends Module implements ScaleShiftNet {
      net = new Linear(3, 6);
      forward(kept: Tensor): [Tensor, Tensor] {
        const [scale, shift] = this.net.forward(kept).chunk(2, 2);
        return [scale, shift];
      }
    }
    const instances = instancesOf(
      () =>
        new Chain([
          new Permutation(4),
          new JointAffineCoupling(new Tokens()),
          new InvertiblePLU(12),
          new ElementwiseAffine(event),
          new ActNorm(3),
        ]),
      (chain) => drawParameters(chain, new Random(3), 0.2),
    );
    const [x, z] = [1, 2].map((stream) => new Random(1, stream).normals([2, ...event], "float64"));
    const trial = new Trial(instances, { x, z });
    for (const law of Object.values(laws))
      expect({ law: law.name, ...tryLaw(law, trial) }).toMatchObject({
        law: law.name,
        error: expect.closeTo(0, law.precision === "float64" ? 11 : 4),
      });
    disposeAll(instances);
  });
});

describe("bases", () => {
  test("integrate to one, standard and diagonal, and samples follow them", () => {
    using _ = new Scope();
    const base = inDType("float64", () => new DiagonalNormal([2])).init(new Random(0));
    base.mean.data.set([0.5, -2]);
    base.log_std.data.set([-0.3, 0.7]);
    const flow = new Flow([], base);
    const { total, mean, square } = integrate(flow);
    expect(total).toBeCloseTo(1, 9);
    expect(mean[1]).toBeCloseTo(-2, 9);
    expect(square[0]).toBeCloseTo(0.25 + Math.exp(-0.6), 9);
    const x = flow.sample(4000, new Random(3)).mean([0]);
    expect(x.data[0]).toBeCloseTo(0.5, 1);
    expect(x.data[1]).toBeCloseTo(-2, 0);
  });

  test("refuse events of another shape", () => {
    expect(() => new StandardNormal([4]).logProb(Tensor.zeros([2, 3]))).toThrow(
      "StandardNormal: expected a batch of (4), got (2, 3)",
    );
  });
});

describe("ActNorm.normalise", () => {
  test.prop([fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 12, maxLength: 12 })])(
    "makes the batch's channels standard",
    (values) => {
      using _ = new Scope();
      const channels = [0, 1].map((c) => values.filter((_, i) => i % 2 === c));
      fc.pre(channels.every((list) => Math.max(...list) - Math.min(...list) > 1e-3));
      const layer = inDType("float64", () => new ActNorm(2)).init(new Random(0));
      const batch = Tensor.from(values, [2, 3, 2], "float64");
      layer.normalise(batch);
      const { out } = layer.forward(batch);
      const [mean, square] = [out.mean([0, 1]), out.square().mean([0, 1])];
      for (const c of [0, 1]) {
        expect(mean.data[c]).toBeCloseTo(0, 6);
        expect(square.data[c]).toBeCloseTo(1, 6);
      }
      layer.dispose();
    },
  );

  test("refuses a constant channel", () => {
    expect(() => new ActNorm(2).normalise(Tensor.ones([3, 2]))).toThrow("channel 0 is constant");
  });
});

describe("keeping", () => {
  const subset = fc.subarray([0, 1, 2, 3, 4], { minLength: 0, maxLength: 5 });
  test.prop([subset])("takes apart and joins to the same, in any order", (kept) => {
    using _ = new Scope();
    const x = new Random(1).normals([2, 5, 3]);
    const shuffled = [...kept].reverse();
    const split = keeping(shuffled, 5);
    const [a, b] = split.apart(x);
    expect(a.shape[1]).toBe(kept.length);
    expect(split.join(a, b).toArray()).toEqual(x.toArray());
  });

  test("refuses numbers outside and twice", () => {
    expect(() => keeping([5], 5)).toThrow("expected different numbers below 5");
    expect(() => keeping([1, 1], 5)).toThrow("expected different numbers below 5");
  });
});

test("a conditioner that needs a condition says so", () => {
  const layer = new ElementwiseAffine([2]); // takes none and does not mind
  expect(
    layer
      .init(new Random(0))
      .forward(Tensor.zeros([1, 2]))
      .out.toArray(),
  ).toEqual([0, 0]);
  expect(() => net().forward(Tensor.zeros([1, 2]))).toThrow("expected a condition (B, 3), got none");
});
