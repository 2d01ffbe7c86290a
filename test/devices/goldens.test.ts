/** The reference's recorded numbers on each device: what test/parity compares on cpu, in float32. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  cpu,
  type Device,
  grad,
  type HostTensor,
  onDevice,
  readSafetensors,
  type Tensor,
  tidy,
  unscoped,
} from "../../core/index.ts";
import type { Decoder } from "../../vla/decoder.ts";
import { loadFlorence2 } from "../../vla/florence2/weights.ts";
import { Worst } from "../parity/florence2/worst.ts";
import { FLOAT32_MARGIN, inputs, published, type TinyGolden } from "../parity/florence2.ts";
import type { AgentCase } from "../parity/nina/agent.ts";
import { decoderOf } from "../parity/nina/builders.ts";
import { type FlowerCase, makeFlower } from "../parity/nina/flower.ts";
import { Golden, type GoldenCase, measured, readManifest, scaled } from "../parity/nina/golden.ts";
import { describeDevices, SLOW } from "./modes.ts";

const goldens = process.env.NINA_GOLDENS;

/** Everything that a body makes on the device under names, read and freed. */
async function numbersOf(device: Device, body: () => Record<string, Tensor>) {
  const made = unscoped(() => onDevice(device, () => tidy(body)));
  const read = Object.entries(made).map(async ([name, x]) => [name, await x.read()] as const);
  const found = await Promise.all(read);
  for (const x of Object.values(made)) x.dispose();
  return found;
}

/** Condition, sample, loss and all gradients, compared like the float32 results of the cpu. */
async function compareDecoder(
  one: GoldenCase,
  device: Device,
  golden: Golden,
  decoder: Decoder,
  lossName: string,
  noise: Readonly<Record<string, string>>,
): Promise<Worst> {
  decoder.to(device);
  const input = (name: string): Tensor => golden.tensor(name, "float32");
  const found = await numbersOf(device, () => {
    const condition = decoder.condition(input("in.features"));
    const sample = decoder.sample(input("in.z"), condition);
    const drawn = Object.fromEntries(Object.entries(noise).map(([key, name]) => [key, input(name)]));
    const loss = decoder.loss(input("in.actions"), condition, drawn);
    const named = decoder.namedParameters();
    const gradients = grad(
      loss,
      named.map(([, parameter]) => parameter),
    );
    const pairs = named.flatMap(([name], i) => (gradients[i] ? [[`grad.${name}`, gradients[i]]] : []));
    return { "out.sample": sample, [`out.${lossName}`]: loss, ...Object.fromEntries(pairs) };
  });
  const worst = new Worst();
  for (const [name, numbers] of found) {
    const exact = name.replace(/^out\./, "out64.");
    const expected = golden.numbers(golden.has(exact) ? exact : name);
    const own = measured(one, name.startsWith("grad.") ? "grad_worst_abs" : name);
    worst.compare(name, numbers, expected, Math.max(scaled(2e-5, expected), 4 * own));
  }
  decoder.dispose();
  return worst;
}

describe.skipIf(!goldens)("recorded numbers (needs NINA_GOLDENS)", () => {
  describeDevices("recorded numbers", (device) => {
    const nina = (name: string): [string, GoldenCase] => {
      const dir = `${goldens}/nina`;
      return [dir, readManifest(dir).find((one) => one.name === name) as GoldenCase];
    };

    it.each(["agent_mlp", "agent_trans"])("%s", SLOW, async (name) => {
      const [dir, one] = nina(name);
      const golden = new Golden(dir, one.file);
      const make = decoderOf((one as AgentCase).config) as () => Decoder;
      const decoder = onDevice(cpu, () => golden.load(make, "float32", "state."));
      const noise = { action: "in.noise", z: "in.z" };
      const worst = await compareDecoder(one, device(), golden, decoder, "loss", noise);
      expect(worst.result()).toMatchObject({ pass: true });
    });

    it("flower_small", SLOW, async () => {
      const [dir, one] = nina("flower_small");
      const golden = new Golden(dir, one.file);
      const make = makeFlower(one as FlowerCase, "mean square");
      const decoder = onDevice(cpu, () => golden.load(make, "float32", "state."));
      const noise = { z1: "in.z1", t: golden.has("out64.rf_t") ? "out64.rf_t" : "out.rf_t" };
      const worst = await compareDecoder(one, device(), golden, decoder, "rf_loss", noise);
      expect(worst.result()).toMatchObject({ pass: true });
    });

    it("tiny Florence-2, every activation", SLOW, async () => {
      const dir = `${goldens}/florence2`;
      const golden = JSON.parse(readFileSync(`${dir}/tiny_s0.json`, "utf8")) as TinyGolden;
      const one = golden.cases.tiny_s0_64;
      const file = readSafetensors(`${dir}/${one.file}`);
      const weights = readSafetensors(`${dir}/${golden.weights}`);
      const prompt = file.get("input.prompt_embed") as HostTensor;
      weights.set("prompt_embeds", { ...prompt, shape: [1, 1, prompt.data.length] });
      const model = onDevice(cpu, () => loadFlorence2(published(golden.config), weights)).to(device());
      const found = await numbersOf(device(), () => {
        const { images, ids } = inputs(file, one.ids, "float32");
        const seen: Record<string, Tensor> = {};
        model.forward(images, ids, (name, value) => {
          if (file.has(`act.${name}`)) seen[name] = value;
        });
        return seen;
      });
      const worst = new Worst();
      for (const [name, numbers] of found) {
        const expected = file.get(`act.${name}`)?.data as Float32Array;
        worst.compare(name, numbers, expected, FLOAT32_MARGIN * one.torch_fp32_max_abs_dev[name]);
      }
      expect(worst.result()).toMatchObject({ pass: true });
      expect(found.length).toBe([...file.keys()].filter((name) => name.startsWith("act.")).length);
      model.dispose();
    });
  });
});
