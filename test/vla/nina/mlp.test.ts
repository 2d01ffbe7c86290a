import { describe, expect, test } from "vitest";
import { Random, Scope, Tensor } from "../../../core/index.ts";
import { inDType, withMasks } from "../../../nn/index.ts";
import { type MlpConfig, MlpDecoder, mlpFlow, mlpPresets } from "../../../vla/nina/mlp.ts";
import { lossesOf } from "./losses.ts";

const tiny: MlpConfig = {
  steps: 4,
  actionWidth: 3,
  features: 10,
  condition: 5,
  blocks: 2,
  width: 8,
  plu: true,
  tokenDropout: 0.1,
  actionNoise: 0.03,
};

describe("published configurations", () => {
  // Section 5 of the reference's parameter table: total with the frozen permutation matrices, and trainable.
  test.each([
    ["paper", 1_971_984, 1_697_584, 756],
    ["paperWithoutPlu", 1_421_224, 1_421_224, 616],
    ["shipped", 5_774_328, 5_597_928, 486],
  ] as const)("%s has the published number of parameters", (name, total, trainable, entries) => {
    const decoder = new MlpDecoder(mlpPresets[name]);
    expect(decoder.nf.countParameters({ frozen: true })).toBe(total);
    expect(decoder.nf.countParameters()).toBe(trainable);
    expect([...decoder.nf.namedTensors()]).toHaveLength(entries);
    expect(decoder.cond_proj.countParameters()).toBe(262_400);
    decoder.dispose();
  });
});

describe("MlpDecoder", () => {
  const decoder = new MlpDecoder(tiny).init(new Random(1));

  test("names its tensors as checkpoints do, in their order", () => {
    const names = [...decoder.namedTensors()].map(([name]) => name);
    expect(names.slice(0, 6)).toEqual([
      "cond_proj.weight",
      "cond_proj.bias",
      "nf.layers.0.perm",
      "nf.layers.0.inv_perm",
      "nf.layers.1.scale_net.net.0.weight",
      "nf.layers.1.scale_net.net.0.bias",
    ]);
    expect(names.slice(-5)).toEqual(["s", "U", "L", "P", "P_inv"].map((name) => `nf.layers.5.${name}`));
  });

  test("samples within [-1, 1], a function of z and the features", () => {
    using _ = new Scope();
    const condition = decoder.condition(new Random(2).normals([3, 6, 10]));
    expect(condition.shape).toEqual([3, 5]);
    const z = new Random(3).normals([3, 4, 3]).scale(3);
    const actions = decoder.sample(z, condition);
    expect(actions.shape).toEqual([3, 4, 3]);
    expect(Math.max(...actions.data.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(actions.toArray()).toEqual(decoder.sample(z, condition).toArray());
  });

  test("the loss is minus the mean log-probability of the noisy, clamped target", () => {
    using _ = new Scope();
    const condition = decoder.condition(new Random(2).normals([2, 6, 10]));
    const actions = new Random(4).uniforms([2, 4, 3], -1, 1);
    const noise = decoder.drawNoise(2, new Random(5));
    const target = actions.add(noise.action.scale(0.03)).clamp(-1, 1);
    const expected = -decoder.logProb(target, condition).mean().item();
    expect(decoder.loss(actions, condition, noise).item()).toBeCloseTo(expected, 5);
  });

  test("features are dropped while training only", () => {
    using _ = new Scope();
    const features = Tensor.ones([1, 6, 10]);
    const still = decoder.condition(features).toArray();
    decoder.train();
    const dropped = withMasks(new Random(3), () => decoder.condition(features));
    expect(dropped.toArray()).not.toEqual(still);
    decoder.eval();
    expect(decoder.condition(features).toArray()).toEqual(still);
  });

  test("refuses an odd number of entries, and chunks and features of other sizes", () => {
    expect(() => mlpFlow({ ...tiny, steps: 3 })).toThrow("expected an even number of entries");
    expect(() => decoder.sample(Tensor.zeros([1, 5, 3]), Tensor.zeros([1, 5]))).toThrow("(B, 4, 3)");
    expect(() => decoder.condition(Tensor.zeros([1, 6, 11]))).toThrow("(B, S, 10)");
  });

  test("a few optimiser steps make a batch more probable", () => {
    const model = inDType("float32", () => new MlpDecoder(tiny)).init(new Random(7));
    const losses = lossesOf(model);
    expect(losses[19]).toBeLessThan(losses[0] - 1);
    model.dispose();
  });
});
