import { describe, expect, test } from "vitest";
import { grad, Random, Scope, Tensor } from "../../../core/index.ts";
import { InvertiblePLU } from "../../../flows/index.ts";
import { inDType } from "../../../nn/index.ts";
import type { Decoder } from "../../../vla/decoder.ts";
import { type MseConfig, MseDecoder, msePresets } from "../../../vla/nina/mse.ts";
import { lossesOf } from "./losses.ts";

const tiny: MseConfig = {
  steps: 4,
  actionWidth: 3,
  features: 10,
  condition: 5,
  blocks: 2,
  width: 8,
  heads: 2,
  depth: 1,
  dropout: 0.1,
  plu: true,
  tokenDropout: 0.1,
  actionNoise: 0.03,
};

describe("MseDecoder", () => {
  const decoder = new MseDecoder(tiny).init(new Random(1));
  const condition = decoder.condition(new Random(2).normals([2, 6, 10]));

  test("has the networks of the Transformer decoder", () => {
    const paper = new MseDecoder(msePresets.paper);
    expect(paper.nf.countParameters({ frozen: true })).toBe(38_480_904);
    expect([...paper.nf.namedTensors()]).toHaveLength(1134 - 2 * 18); // no permutations
    paper.dispose();
  });

  test("names its layers without permutations", () => {
    const layers = new Set(
      [...decoder.nf.namedTensors()].map(([name]) => name.split(".").slice(0, 3).join(".")),
    );
    expect([...layers]).toEqual([
      "layers.0.net",
      ...["s", "U", "L", "P", "P_inv"].map((name) => `layers.1.${name}`),
      "layers.2.net",
      ...["s", "U", "L", "P", "P_inv"].map((name) => `layers.3.${name}`),
    ]);
  });

  test("runs blocks front to back, each followed by the inverse matrix", () => {
    using _ = new Scope();
    const z = new Random(3).normals([2, 4, 3]);
    let expected = z;
    for (const layer of decoder.nf.layers) {
      if (layer instanceof InvertiblePLU) expected = layer.inverse(expected).out;
      else expected = layer.net.forward(expected, condition)[0];
    }
    expect(decoder.nf.forward(z, condition).toArray()).toEqual(expected.toArray());
  });

  test("has no density", () => {
    expect((decoder as Decoder).logProb).toBeUndefined();
  });

  test("the loss is the mean square of noisy, clamped target less clamped sample", () => {
    using _ = new Scope();
    const actions = new Random(4).uniforms([2, 4, 3], -1, 1);
    const noise = decoder.drawNoise(2, new Random(5));
    const target = actions.add(noise.action.scale(0.03)).clamp(-1, 1);
    const sample = decoder.sample(noise.z, condition);
    const squares = target.toArray().map((a, i) => (a - sample.data[i]) ** 2);
    const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length;
    expect(decoder.loss(actions, condition, noise).item()).toBeCloseTo(mean, 5);
  });

  test("refuses one noise for several chunks, which would be stretched", () => {
    const zeros = (batch: number): Tensor => Tensor.zeros([batch, 4, 3]);
    const loss = (action: number, z: number): Tensor =>
      decoder.loss(zeros(2), condition, { action: zeros(action), z: zeros(z) });
    expect(() => loss(2, 1)).toThrow("MseDecoder.loss: z: expected shape (2, 4, 3), got (1, 4, 3)");
    expect(() => loss(1, 2)).toThrow("noisyTarget: expected noise (2, 4, 3), got (1, 4, 3)");
  });

  test("a clamped number has no gradient", () => {
    using _ = new Scope();
    const model = inDType("float64", () => new MseDecoder({ ...tiny, plu: false })).init(new Random(1));
    const last = model.nf.layers[1];
    if (last instanceof InvertiblePLU) throw new Error("expected a block");
    const head = last.net.ff_mult[3] as unknown as { bias: Tensor };
    head.bias.data.set([100, -100, 0]); // first component beyond 1, second below −1
    const zeros = Tensor.zeros([1, 4, 3], "float64");
    const loss = model.loss(zeros, Tensor.zeros([1, 5], "float64"), {
      action: zeros,
      z: new Random(6).normals([1, 4, 3], "float64"),
    });
    const [gradient] = grad(loss, [head.bias]);
    expect(gradient?.data[0]).toBe(0);
    expect(gradient?.data[1]).toBe(0);
    expect(gradient?.data[2]).not.toBe(0);
    model.dispose();
  });

  test("takes an odd number of steps, since nothing is split", () => {
    using _ = new Scope();
    const odd = new MseDecoder({ ...tiny, steps: 3 }).init(new Random(1));
    const z = new Random(3).normals([1, 3, 3]);
    expect(odd.sample(z, Tensor.zeros([1, 5])).shape).toEqual([1, 3, 3]);
    expect(() => odd.sample(Tensor.zeros([1, 4, 3]), Tensor.zeros([1, 5]))).toThrow("(B, 3, 3)");
    odd.dispose();
  });

  test("a few optimiser steps bring samples nearer, the unused shift head staying as it was", () => {
    const model = new MseDecoder(tiny).init(new Random(7));
    const unused = model.stateDict().get("nf.layers.0.net.ff_shift.0.weight");
    const losses = lossesOf(model);
    expect(losses[19]).toBeLessThan(0.9 * losses[0]);
    expect(model.stateDict().get("nf.layers.0.net.ff_shift.0.weight")).toEqual(unused);
    model.dispose();
  });
});
