import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  grad,
  type HostTensor,
  heapUsage,
  Random,
  readSafetensors,
  Scope,
  Tensor,
} from "../../../core/index.ts";
import { AdamW, TrainingStep, withMasks } from "../../../nn/index.ts";
import { type FlorenceConfig, florenceBase } from "../../../vla/florence2/config.ts";
import { Florence2 } from "../../../vla/florence2/model.ts";
import { loadFlorence2 } from "../../../vla/florence2/weights.ts";
import { inputs, published, type TinyGolden } from "../../parity/florence2.ts";

/** With the drop rates of the published encoders. */
const tiny: FlorenceConfig = {
  ...florenceBase,
  dim_embed: [8, 12, 16, 24],
  num_heads: [1, 2, 2, 3],
  num_groups: [2, 3, 4, 6],
  depths: [1, 1, 2, 1],
  max_temporal_embeddings: 3,
  vocab_size: 20,
  d_model: 16,
  max_position_embeddings: 50,
  encoder_layers: 2,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 32,
};

interface Case {
  readonly model: Florence2;
  readonly images: Tensor[];
  readonly ids: Tensor;
  /** Factors of the features in the loss. */
  readonly factors: Tensor;
}

const lossOf = ({ model, images, ids, factors }: Case): Tensor =>
  model.forward(images, ids).mul(factors).sum();

/** Gradients for all parameters and both pictures, and the bytes that the forward pass holds. */
function gradientsOf(one: Case): { gradients: (Tensor | null)[]; held: number } {
  const { model, images } = one;
  for (const image of images) image.tracked();
  const before = heapUsage().live;
  const loss = withMasks(new Random(5), () => lossOf(one));
  const held = heapUsage().live - before;
  return { gradients: grad(loss, [...model.parameters(), ...images]), held };
}

function expectSame(one: Case): void {
  using _ = new Scope();
  const plain = gradientsOf(one);
  const again = gradientsOf({ ...one, model: one.model.checkpoint() });
  plain.gradients.forEach((gradient, i) => {
    expect(again.gradients[i]?.toArray()).toEqual(gradient?.toArray());
  });
  expect(again.held).toBeLessThan(plain.held / 4);
}

function drawn(): Case {
  const random = new Random(1);
  const model = new Florence2(tiny).init(random).train();
  const images = [random.normals([2, 3, 64, 64]), random.normals([2, 3, 64, 64])];
  const ids = Tensor.from([0, 4, 2, 0, 5, 2], [2, 3], "int32");
  return { model, images, ids, factors: random.normals([2, 2 * 5 + 1 + 3, 16]) };
}

describe("Florence2.checkpoint", () => {
  it("leaves the gradients as they are, bit for bit, masks included, and holds less", () => {
    using _ = new Scope();
    const one = drawn();
    expectSame(one);
    one.model.dispose();
  });

  it("leaves captured steps as they are, in less memory", async () => {
    const taken: number[] = [];
    const states: Map<string, HostTensor>[] = [];
    for (const checkpointed of [false, true]) {
      const { model, images, ids, factors } = drawn();
      model.checkpoint(checkpointed);
      const optimizer = new AdamW(model.namedParameters());
      const loss = (...[first, second, ids, factors]: Tensor[]): Tensor =>
        lossOf({ model, images: [first, second], ids, factors });
      const batch = [...images, ids, factors];
      const before = heapUsage();
      const step = new TrainingStep(loss, optimizer, batch, { masks: new Random(6) });
      taken.push(heapUsage().live - before.live);
      for (let i = 0; i < 2; i++) await step.run(batch, 0.01);
      states.push(model.stateDict());
      step[Symbol.dispose]();
      for (const owner of [optimizer, model, ...batch]) owner.dispose();
    }
    expect(states[1]).toEqual(states[0]);
    expect(taken[1]).toBeLessThan(taken[0] / 2);
  });

  const goldens = process.env.NINA_GOLDENS;
  it.skipIf(!goldens)("leaves the gradients of the tiny golden as they are (needs NINA_GOLDENS)", () => {
    using _ = new Scope();
    const folder = join(goldens as string, "florence2");
    const golden: TinyGolden = JSON.parse(readFileSync(join(folder, "tiny_s0.json"), "utf8"));
    const { file: name, ids } = golden.cases.tiny_s0_112;
    const file = readSafetensors(join(folder, name));
    const weights = readSafetensors(join(folder, golden.weights));
    const prompt = file.get("input.prompt_embed") as HostTensor;
    weights.set("prompt_embeds", { ...prompt, shape: [1, 1, prompt.data.length] });
    const model = loadFlorence2(published(golden.config), weights);
    const { data, shape } = file.get("loss.R") as HostTensor;
    const factors = Tensor.from(data as Float32Array, shape);
    expectSame({ model, ...inputs(file, ids, "float32"), factors });
    model.dispose();
  });
});
