/** Whole models on each device against the CPU, whose numbers the recorded ones of the reference are compared with. */
import ndarray from "ndarray";
import { expect, it } from "vitest";
import { cpu, type Device, grad, onDevice, Random, type Tensor, tidy, unscoped } from "../../core/index.ts";
import { AdamW, Linear, Module, TrainingStep } from "../../nn/index.ts";
import { loadCheckpoint } from "../../vla/checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../../vla/decoders.ts";
import { EMBEDDED } from "../../vla/eval/options.ts";
import { flowerPresets } from "../../vla/flower/flower.ts";
import { adamWOptions } from "../../vla/nina/training.ts";
import type { Image } from "../../vla/observation.ts";
import { NinaModel } from "../../vla/policies/nina-model.ts";
import { describeDevices, SLOW } from "./modes.ts";

const chunk = { steps: 2, actionWidth: 7, features: 10, tokenDropout: 0 };
const nina = { ...chunk, condition: 6, blocks: 1, width: 8, plu: true, actionNoise: 0.03 };
const decoders: readonly DecoderConfig[] = [
  { kind: "mlp", ...nina },
  { kind: "transformer", ...nina, heads: 2, depth: 1, dropout: 0 },
  { kind: "flower", ...flowerPresets.small, ...chunk, width: 8, layers: 1, heads: 2 },
];

/** Sample, loss and all gradients of a decoder, with the same draws on every device. */
async function numbersOf(config: DecoderConfig, device: Device): Promise<number[][]> {
  const decoder = onDevice(cpu, () => makeDecoder(config).init(new Random(1))).to(device);
  const tensors = unscoped(() =>
    onDevice(device, () =>
      tidy(() => {
        const features = new Random(2).normals([2, 6, 10]);
        const condition = decoder.condition(features);
        const sample = decoder.sample(new Random(3).normals([2, 2, 7]), condition);
        const actions = new Random(4).uniforms([2, 2, 7], -1, 1);
        const loss = decoder.loss(actions, condition, decoder.drawNoise(2, new Random(5)));
        const gradients = grad(loss, decoder.parameters()).filter((g) => g !== null);
        return [sample, loss, ...gradients];
      }),
    ),
  );
  const numbers = await Promise.all(tensors.map((x) => x.read()));
  for (const x of tensors) x.dispose();
  decoder.dispose();
  return numbers.map((list) => [...list]);
}

/** The largest difference, relative to the larger of 1 and the largest number. */
function difference(got: readonly number[], expected: readonly number[]): number {
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(0, ...expected.map((value, i) => Math.abs(value - got[i]))) / scale;
}

class Net extends Module {
  first = new Linear(6, 8);
  second = new Linear(8, 3);

  loss(x: Tensor, y: Tensor): Tensor {
    return this.second.forward(this.first.forward(x).gelu()).sub(y).square().mean();
  }
}

describeDevices("models", (device, mode) => {
  it.each(decoders)(
    "the $kind decoder samples, and has the loss and the gradients, as on cpu",
    SLOW,
    async (config) => {
      const [expected, got] = [await numbersOf(config, cpu), await numbersOf(config, device())];
      expect(got.length).toBe(expected.length);
      // Some hundred operations in float32 after one another, summed up in another order.
      got.forEach((numbers, i) => {
        expect(difference(numbers, expected[i])).toBeLessThan(1e-5);
      });
    },
  );

  it("the MLP decoder learns in ten steps what it learns on cpu", SLOW, async () => {
    const losses = async (on: Device): Promise<number[]> => {
      const model = onDevice(cpu, () => makeDecoder(decoders[0]).init(new Random(7))).to(on);
      const optimizer = new AdamW(model.namedParameters(), adamWOptions);
      const random = new Random(8);
      const batch = unscoped(() =>
        onDevice(on, () => [
          random.uniforms([4, 2, 7], -1, 1),
          random.normals([4, 2, 10]),
          random.normals([4, 2, 7]),
        ]),
      );
      const loss = (actions: Tensor, features: Tensor, action: Tensor): Tensor =>
        model.loss(actions, model.condition(features), { action });
      using step = new TrainingStep(loss, optimizer, batch, { clip: 1 });
      const found: number[] = [];
      for (let i = 0; i < 10; i++) found.push((await step.run(batch, 1e-2)).loss);
      for (const x of batch) x.dispose();
      optimizer.dispose();
      model.dispose();
      return found;
    };
    const [expected, got] = [await losses(cpu), await losses(device())];
    expect(expected[9]).toBeLessThan(expected[0] - 0.5);
    expect(difference(got, expected)).toBeLessThan(1e-4); // errors grow from step to step
  });

  it("training holds what it held, step after step", SLOW, async () => {
    const net = onDevice(cpu, () => new Net().init(new Random(1))).to(device());
    const optimizer = new AdamW(net.namedParameters());
    const random = new Random(2);
    const batch = unscoped(() => onDevice(device(), () => [random.normals([4, 6]), random.normals([4, 3])]));
    using step = new TrainingStep((x, y) => net.loss(x, y), optimizer, batch);
    await step.run(batch, 1e-3);
    await step.run(batch, 1e-3);
    const { slots, bytes, kernels } = device().usage();
    const steps = mode === "webasm" ? 1000 : 20;
    for (let i = 0; i < steps; i++) await step.run(batch, 1e-3);
    expect(device().usage()).toMatchObject({ slots, bytes, kernels });
    for (const x of batch) x.dispose();
    optimizer.dispose();
    net.dispose();
  });

  // Its encoder alone is hundreds of kernels, which browsers take minutes to compile in software.
  if (mode !== "webasm") return;

  it("the policy's first chunk is that of the cpu", SLOW, async () => {
    const picture = (seed: number): Image =>
      ndarray(
        Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => (i * seed) % 251),
        [128, 128, 3],
      );
    const seen = {
      agentview_image: picture(3),
      robot0_eye_in_hand_image: picture(7),
      robot0_joint_pos: new Float64Array(7),
      robot0_eef_pos: new Float64Array(3),
      robot0_eef_quat: new Float64Array(4),
      robot0_gripper_qpos: new Float64Array(2),
    };
    const act = async (on: Device): Promise<number[]> => {
      const checkpoint = loadCheckpoint(EMBEDDED.checkpoint);
      checkpoint.florence.to(on);
      checkpoint.decoder.to(on);
      using model = new NinaModel("test", checkpoint);
      const policy = model.policy();
      policy.reset(5);
      const { actions } = await policy.act(seen, "push the drawer shut");
      checkpoint.florence.dispose();
      checkpoint.decoder.dispose();
      return actions.flatMap((action) => [...Array.from(action)]);
    };
    const [expected, got] = [await act(cpu), await act(device())];
    expect(got).toHaveLength(70);
    // On cpu the decoder is the one for inference, its constants multiplied out in float64; both are within 1e-4 of the
    // exact chunk.
    expect(difference(got, expected)).toBeLessThan(2e-4);
  });
});
