import { describe, expect, test } from "vitest";
import { triStage } from "../../../nn/index.ts";
import { adamWOptions, isDecayed, learningRate } from "../../../vla/nina/training.ts";

describe("weight decay follows names, odd ones included", () => {
  test.each([
    ["nf.layers.1.scale_net.net.0.weight", true],
    ["nf.layers.1.scale_net.net.0.bias", false],
    ["nf.layers.1.scale_net.net.1.weight", true], // a LayerNorm, by position
    ["nf.layers.1.net.subblocks.0.norm1.weight", false],
    ["nf.layers.2.s", true],
    ["vlm.vision_tower.convs.0.LayerNorm.weight", false],
    ["adaln.eef_delta.modCX.1.weight", false], // contains "ln"
  ])("%s: %s", (name, decayed) => {
    expect(isDecayed(name)).toBe(decayed);
    expect(adamWOptions.decays?.(name)).toBe(decayed);
  });
});

test("the learning rate peaks after 2500 steps and halves by step 50,000", () => {
  const rate = triStage(learningRate);
  expect([0, 1250, 2500, 7500, 28_750, 50_000, 90_000].map(rate)).toEqual(
    [2e-6, 1.1e-5, 2e-5, 2e-5, 1.5e-5, 1e-5, 1e-5].map((lr) => expect.closeTo(lr, 15)),
  );
});
