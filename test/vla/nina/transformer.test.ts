import { fc, test as prop } from "@fast-check/vitest";
import { afterAll, describe, expect, test } from "vitest";
import { grad, Random, Scope, Tensor } from "../../../core/index.ts";
import type { JointAffineCoupling } from "../../../flows/index.ts";
import { disposeAll, drawParameters, instancesOf, laws, Trial, tryLaw } from "../../../flows/laws/index.ts";
import { inDType, withMasks } from "../../../nn/index.ts";
import {
  type TransformerConfig,
  TransformerDecoder,
  TransformerNet,
  transformerFlow,
  transformerPresets,
} from "../../../vla/nina/transformer.ts";
import { lossesOf } from "./losses.ts";

const tiny: TransformerConfig = {
  steps: 4,
  actionWidth: 3,
  features: 10,
  condition: 5,
  blocks: 2,
  width: 8,
  heads: 2,
  depth: 2,
  dropout: 0.1,
  plu: true,
  tokenDropout: 0.1,
  actionNoise: 0.03,
};

describe("published configurations", () => {
  // Counted from the published classes: total with the frozen permutation matrices, and trainable.
  test.each([
    ["paper", 38_480_904, 38_304_504, 1134],
    ["paperWithoutPlu", 38_126_844, 38_126_844, 1044],
    ["shallow", 17_127_432, 16_951_032, 630],
  ] as const)("%s has the published number of parameters", (name, total, trainable, entries) => {
    const decoder = new TransformerDecoder(transformerPresets[name]);
    expect(decoder.nf.countParameters({ frozen: true })).toBe(total);
    expect(decoder.nf.countParameters()).toBe(trainable);
    expect([...decoder.nf.namedTensors()]).toHaveLength(entries);
    expect(decoder.cond_proj.countParameters()).toBe(262_400);
    decoder.dispose();
  });
});

describe("the flow keeps the laws of bijectors", () => {
  const { steps, actionWidth, condition: C } = tiny;
  // Away from orthogonal matrices and unit gains.
  const instances = instancesOf(
    () => transformerFlow(tiny),
    (flow) => drawParameters(flow, new Random(1), 0.2),
  );
  afterAll(() => disposeAll(instances));

  const number = fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -4, max: 4, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: -1e-12, max: 1e-12, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
  );
  const tensor = (shape: number[]): fc.Arbitrary<number[]> => {
    const size = shape.reduce((product, length) => product * length, 1);
    return fc.array(number, { minLength: size, maxLength: size });
  };
  const inputs = fc
    .integer({ min: 1, max: 2 })
    .chain((B) =>
      fc.tuple(
        fc.constant(B),
        tensor([B, steps, actionWidth]),
        tensor([B, steps, actionWidth]),
        tensor([B, C]),
      ),
    );

  for (const law of Object.values(laws)) {
    prop.prop([inputs], { numRuns: 15 })(law.name, ([B, x, z, condition]) => {
      using _ = new Scope();
      const chunk = (values: number[]): Tensor => Tensor.from(values, [B, steps, actionWidth], "float64");
      const input = { x: chunk(x), z: chunk(z), condition: Tensor.from(condition, [B, C], "float64") };
      // Rounding, times what two couplings and two matrices of condition about 100 magnify it by.
      const tolerance = { float64: 1e-8, float32: 1e-3, slope: 1e-4 }[law.precision];
      expect(tryLaw(law, new Trial(instances, input)).error).toBeLessThanOrEqual(tolerance);
    });
  }
});

describe("TransformerNet", () => {
  const net = inDType("float64", () => new TransformerNet(tiny)).init(new Random(3));
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 });

  prop.prop([order, fc.nat(1000)], { numRuns: 30 })(
    "permuting its tokens permutes its outputs",
    (perm, seed) => {
      using _ = new Scope();
      const x = new Random(seed).normals([1, 5, 3], "float64");
      const condition = new Random(seed + 1).normals([1, 5], "float64");
      const rows = Tensor.from(perm, [5], "int32");
      const permuted = x.reshape([5, 3]).gatherRows(rows).reshape([1, 5, 3]);
      const [plain, moved] = [net.forward(x, condition), net.forward(permuted, condition)];
      plain.forEach((y, i) => {
        const expected = y.reshape([5, 3]).gatherRows(rows).toArray();
        // Sums over the tokens run in another order: rounding.
        moved[i].toArray().forEach((value, k) => {
          expect(value).toBeCloseTo(expected[k], 12);
        });
      });
    },
  );

  test("every token sees every other and the condition", () => {
    using _ = new Scope();
    const x = new Random(4).normals([1, 5, 3], "float64").tracked();
    const condition = new Random(5).normals([1, 5], "float64").tracked();
    const last = net.forward(x, condition)[0].slice(1, 4, 5).sum();
    const [dx, dc] = grad(last, [x, condition]);
    expect(dx?.toArray().every((g) => g !== 0)).toBe(true);
    expect(dc?.toArray().every((g) => g !== 0)).toBe(true);
  });

  test("queries and keys, which the single key makes idle, have a gradient of exactly zero, what feeds only them none", () => {
    using _ = new Scope();
    const x = new Random(4).normals([2, 5, 3], "float64");
    const [scale, shift] = net.forward(x, new Random(5).normals([2, 5], "float64"));
    const { cross_attn, norm2 } = net.subblocks[0];
    const loss = scale.mul(shift).sum();
    const [packed, gain, unused] = grad(loss, [
      cross_attn.in_proj_weight,
      norm2.weight,
      net.cond_proj.weight,
    ]);
    const E = tiny.width;
    const [queriesAndKeys, values] = [packed!.slice(0, 0, 2 * E), packed!.slice(0, 2 * E, 3 * E)];
    expect(queriesAndKeys.toArray().every((g) => g === 0)).toBe(true);
    expect(values.toArray().some((g) => g !== 0)).toBe(true);
    expect(gain).toBeNull();
    expect(unused).toBeNull();
  });

  test("needs a condition, and heads that divide its width", () => {
    expect(() => net.forward(Tensor.zeros([1, 5, 3], "float64"))).toThrow("expected a condition (B, C)");
    expect(() => new TransformerNet({ ...tiny, heads: 3 })).toThrow("3 heads do not divide 8");
  });
});

describe("TransformerDecoder", () => {
  const decoder = new TransformerDecoder(tiny).init(new Random(1));
  const condition = decoder.condition(new Random(2).normals([2, 6, 10]));

  test("names its tensors as checkpoints do, in their order", () => {
    const names = [...decoder.namedTensors()].map(([name]) => name);
    const attention = (prefix: string): string[] =>
      ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"].map((name) => prefix + name);
    const both = (prefix: string): string[] => [`${prefix}.weight`, `${prefix}.bias`];
    const subblock = (k: number): string[] =>
      [
        attention("self_attn."),
        attention("cross_attn."),
        both("norm1"),
        both("norm2"),
        both("cond_proj"),
      ].flatMap((list) => list.map((name) => `subblocks.${k}.${name}`));
    const net = [
      both("input_proj"),
      subblock(0),
      subblock(1),
      both("norm3"),
      both("ff_mult.0"),
      both("ff_mult.3"),
      both("ff_shift.0"),
      both("ff_shift.3"),
      both("cond_proj"),
    ].flat();
    const block = (k: number): string[] => [
      `nf.layers.${3 * k}.perm`,
      `nf.layers.${3 * k}.inv_perm`,
      ...net.map((name) => `nf.layers.${3 * k + 1}.net.${name}`),
      ...["s", "U", "L", "P", "P_inv"].map((name) => `nf.layers.${3 * k + 2}.${name}`),
    ];
    expect(names).toEqual([...both("cond_proj"), ...block(0), ...block(1)]);
  });

  test("is the same after its state dict went to another one", () => {
    using _ = new Scope();
    const other = new TransformerDecoder(tiny).load(decoder.stateDict());
    const z = new Random(3).normals([2, 4, 3]);
    expect(other.sample(z, condition).toArray()).toEqual(decoder.sample(z, condition).toArray());
    expect(other.logProb(z, condition).toArray()).toEqual(decoder.logProb(z, condition).toArray());
    other.dispose();
  });

  test("names what a state dict lacks, the unused projection included", () => {
    const dict = decoder.stateDict();
    dict.delete("nf.layers.1.net.cond_proj.weight");
    expect(() => decoder.load(dict)).toThrow("missing (1): nf.layers.1.net.cond_proj.weight");
  });

  test("samples within [-1, 1], a function of z and the features", () => {
    using _ = new Scope();
    const z = new Random(3).normals([2, 4, 3]).scale(3);
    const actions = decoder.sample(z, condition);
    expect(actions.shape).toEqual([2, 4, 3]);
    expect(Math.max(...actions.data.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(actions.toArray()).toEqual(decoder.sample(z, condition).toArray());
    expect(actions.toArray()).not.toEqual(decoder.sample(z, condition.scale(-1)).toArray());
  });

  test("log-probabilities are the sum of base and layers", () => {
    using _ = new Scope();
    const actions = new Random(4).uniforms([2, 4, 3], -1, 1);
    const { base, layers } = decoder.logProbTerms(actions, condition);
    const sum = layers.reduce((total, term) => total.add(term), base);
    decoder.logProb(actions, condition).data.forEach((value, i) => {
      expect(sum.data[i]).toBeCloseTo(value, 4);
    });
    expect(layers).toHaveLength(6);
  });

  test("targets are moved by noise, then clamped: a gripper at ±1 keeps its value half of the time", () => {
    using _ = new Scope();
    const noise = { action: new Random(6).normals([2, 4, 3]) };
    const actions = Tensor.ones([2, 4, 3]);
    const target = actions.add(noise.action.scale(tiny.actionNoise)).clamp(-1, 1);
    const kept = target.toArray().filter((a) => a === 1).length;
    expect(kept).toBeGreaterThan(6);
    expect(kept).toBeLessThan(18);
    const expected = -decoder.logProb(target, condition).mean().item();
    expect(decoder.loss(actions, condition, noise).item()).toBeCloseTo(expected, 5);
  });

  test("drops numbers while training only, and the same ones from the same seed", () => {
    using _ = new Scope();
    const actions = new Random(4).uniforms([2, 4, 3], -1, 1);
    const still = decoder.logProb(actions, condition).toArray();
    decoder.train();
    const draw = (): number[] =>
      withMasks(new Random(9), () => decoder.logProb(actions, condition)).toArray();
    const dropped = draw();
    expect(dropped).not.toEqual(still);
    expect(draw()).toEqual(dropped);
    decoder.eval();
    expect(decoder.logProb(actions, condition).toArray()).toEqual(still);
  });

  test("refuses an odd number of steps, and chunks, features and conditions of other sizes", () => {
    expect(() => transformerFlow({ ...tiny, steps: 3 })).toThrow("expected an even number of steps");
    expect(() => decoder.sample(Tensor.zeros([1, 5, 3]), condition)).toThrow("(B, 4, 3), got (1, 5, 3)");
    expect(() => decoder.logProb(Tensor.zeros([1, 12]), condition)).toThrow("TransformerDecoder");
    expect(() => decoder.condition(Tensor.zeros([1, 6, 11]))).toThrow("(B, S, 10)");
    expect(() => decoder.sample(Tensor.zeros([1, 4, 3]), Tensor.zeros([1, 1, 5]))).toThrow("(B, C)");
  });

  test("refuses one condition or one noise for several chunks, which would be stretched", () => {
    const actions = Tensor.zeros([3, 4, 3]);
    expect(() => decoder.logProb(actions, Tensor.zeros([1, 5]))).toThrow("each of 3 samples, got (1, 5)");
    const { net } = decoder.nf.layers[1] as JointAffineCoupling;
    expect(() => net.forward(Tensor.zeros([3, 2, 3]), Tensor.zeros([1, 5]))).toThrow(
      "TransformerNet: expected a condition (3, 5), got (1, 5)",
    );
    expect(() => decoder.loss(actions, Tensor.zeros([3, 5]), { action: Tensor.zeros([1, 4, 3]) })).toThrow(
      "noisyTarget: expected noise (3, 4, 3), got (1, 4, 3)",
    );
  });

  test("takes an odd number of action components, since time is what is split", () => {
    using _ = new Scope();
    const flow = transformerFlow({ ...tiny, actionWidth: 7, steps: 2 }).init(new Random(7));
    const z = new Random(8).normals([1, 2, 7]);
    const c = new Random(9).normals([1, 5]);
    const back = flow.forward(flow.inverse(z, c).out, c).out;
    back.data.forEach((value, i) => {
      expect(value).toBeCloseTo(z.data[i], 4); // float32 through two matrices and back
    });
    flow.dispose();
  });

  test("a few optimiser steps make a batch more probable and leave the unused projection alone", () => {
    const model = new TransformerDecoder(tiny).init(new Random(7));
    const unused = model.stateDict().get("nf.layers.1.net.cond_proj.weight");
    const losses = lossesOf(model);
    expect(losses[19]).toBeLessThan(losses[0] - 1);
    expect(model.stateDict().get("nf.layers.1.net.cond_proj.weight")).toEqual(unused);
    model.dispose();
  });
});
