import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  bf16ToF32,
  f32ToBf16,
  floatPieces,
  type LazyTensor,
  readSafetensors,
  rounded,
  type WeightFormat,
} from "../../../core/index.ts";
import { publishedConfig } from "../../../vla/florence2/config-file.ts";
import { exportEncoder } from "../../../vla/florence2/export-encoder.ts";
import { openFlorence2 } from "../../../vla/florence2/published.ts";
import { FLOW, publishedTensors, smallest, vocabulary, withDecoder, writeFolder } from "./folders.ts";

const folder = mkdtempSync(join(tmpdir(), "export-"));
afterAll(() => rmSync(folder, { recursive: true }));
const perception = { imageSize: 64, prompt: "instruction", promptLength: 9, cameraSize: null } as const;
const source = writeFolder(join(folder, "source"), {
  tensors: withDecoder(publishedTensors()),
  config: { ...publishedConfig(smallest), perception },
});

async function exported(from: string, format: WeightFormat): Promise<string> {
  const out = join(folder, `${format} of ${from.split("/").at(-1)}`);
  using encoder = openFlorence2(from);
  await exportEncoder(encoder, out, format);
  return out;
}

/** The numbers of a folder's encoder as float32. */
function floats(at: string): Map<string, Float32Array> {
  using encoder = openFlorence2(at);
  const all = (name: string, tensor: LazyTensor): Float32Array =>
    Float32Array.from([...floatPieces(name, tensor)].flatMap((piece) => [...piece]));
  return new Map([...encoder.tensors].map(([name, tensor]) => [name, all(name, tensor)]));
}

/** What a tensor of that name and rank is kept as. */
function keeping(format: WeightFormat, name: string, rank: number): WeightFormat {
  if (format === "float32" || rank === 1 || /prompt_embeds|visual_temporal_embed/.test(name))
    return "float32";
  const isLinear = rank === 2 && /(qkv|proj|fc1|fc2)\.weight$/.test(name);
  return format === "int8" && isLinear ? "int8" : "bfloat16";
}

describe.each(["float32", "bfloat16", "int8"] as const)("as %s", (format) => {
  test("an encoder comes back rounded, without its decoder, and the same when exported again", async () => {
    const out = await exported(source, format);
    const [before, after] = [floats(source), floats(out)];
    using encoder = openFlorence2(out);
    expect(encoder.config).toEqual({ ...smallest, vocab_size: FLOW + 1 });
    expect([encoder.vocabulary, encoder.perception]).toEqual([vocabulary, perception]);
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [name, numbers] of before) {
      const { shape } = encoder.tensors.get(name) as LazyTensor;
      const kept = keeping(format, name, shape.length);
      if (kept === "float32") expect(after.get(name), name).toEqual(numbers);
      else if (kept === "bfloat16") expect(after.get(name), name).toEqual(bf16ToF32(f32ToBf16(numbers)));
      else {
        const width = shape[1];
        for (let at = 0; at < numbers.length; at += width) {
          const row = rounded(numbers.subarray(at, at + width), "int8");
          expect(after.get(name)?.subarray(at, at + width)).toEqual(
            Float32Array.from(row.numbers, (n) => n * row.scale),
          );
        }
      }
    }
    const again = await exported(out, format);
    for (const file of readdirSync(out))
      expect(readFileSync(join(again, file)).equals(readFileSync(join(out, file))), file).toBe(true);
  });
});

test("what int8 stands for can be had as float32 again", async () => {
  const out = await exported(source, "int8");
  expect(floats(await exported(out, "float32"))).toEqual(floats(out));
});

test("int8 takes a quarter of the linear layers, half of the rest that is large", async () => {
  const stored = readSafetensors(join(await exported(source, "int8"), "model.safetensors"));
  const type = (name: string): unknown => stored.get(name)?.dtype;
  const layer = "language_model.model.encoder.layers.0";
  expect([
    type(`${layer}.fc1.weight`),
    type(`${layer}.fc1.weight.scales`),
    type(`${layer}.fc1.bias`),
  ]).toEqual([...["I8", "F32", "F32"]]);
  expect(type("language_model.model.shared.weight")).toBe("BF16");
  expect(type("vision_tower.convs.0.proj.weight")).toBe("BF16");
  expect(type("image_projection")).toBe("BF16");
});
