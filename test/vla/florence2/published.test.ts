import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { type HostTensor, readSafetensors } from "../../../core/index.ts";
import { type FlorenceConfig, florenceBase, florenceLarge } from "../../../vla/florence2/config.ts";
import { parsePublishedConfig, publishedConfig } from "../../../vla/florence2/config-file.ts";
import { openFlorence2 } from "../../../vla/florence2/published.ts";
import { publishedPerception } from "../../../vla/perception.ts";
import { loadEncoder } from "../../../vla/train/encoder.ts";
import { published as goldenConfig, type TinyGolden } from "../../parity/florence2.ts";
import {
  FILES,
  FLOW,
  nativeTensors,
  publishedTensors,
  smallest,
  type Tensors,
  typed,
  vocabulary,
  withDecoder,
  writeFolder,
} from "./folders.ts";

const folder = mkdtempSync(join(tmpdir(), "published-"));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (): string => join(folder, String(count++));

const TABLE = "language_model.model.shared.weight";

/** As `transformers` writes it, without what is its default. */
const nativeConfig = (config: FlorenceConfig): object => ({
  model_type: "florence2",
  vision_config: {
    model_type: "florence_vision",
    embed_dim: config.dim_embed,
    num_heads: config.num_heads,
    num_groups: config.num_groups,
    depths: config.depths,
    window_size: config.window_size,
    patch_size: config.patch_size,
    patch_stride: config.patch_stride,
    patch_padding: config.patch_padding,
    patch_prenorm: config.patch_prenorm,
    drop_path_rate: config.drop_path_rate,
    max_position_embeddings: config.max_pos_embeddings,
    max_temporal_embeddings: config.max_temporal_embeddings,
    mlp_ratio: 4.0,
    qkv_bias: true,
  },
  text_config: {
    model_type: "bart",
    vocab_size: config.vocab_size,
    d_model: config.d_model,
    encoder_layers: config.encoder_layers,
    encoder_ffn_dim: config.encoder_ffn_dim,
    encoder_attention_heads: config.encoder_attention_heads,
    dropout: config.dropout,
    max_position_embeddings: config.max_position_embeddings,
    activation_function: "gelu",
  },
});

describe("a published config.json", () => {
  const sizes = fc.record({
    layers: fc.integer({ min: 0, max: 24 }),
    positions: fc.constantFrom(1024, 4096),
    rows: fc.integer({ min: 50_000, max: 60_000 }),
    drop: fc.constantFrom(0, 0.1),
    config: fc.constantFrom(florenceBase, florenceLarge, smallest),
  });
  test.prop([sizes])("gives the sizes it was written from, in either layout", (drawn) => {
    const config: FlorenceConfig = {
      ...drawn.config,
      encoder_layers: drawn.layers,
      max_position_embeddings: drawn.positions,
      vocab_size: drawn.rows,
      drop_path_rate: drawn.drop,
    };
    for (const write of [publishedConfig, nativeConfig])
      expect(parsePublishedConfig(JSON.parse(JSON.stringify(write(config))), "config.json")).toEqual(config);
  });

  test("may leave out what is the default of transformers", () => {
    const text_config = { model_type: "bart", vocab_size: 51328, d_model: 768, encoder_layers: 6 };
    const rest = { encoder_ffn_dim: 3072, encoder_attention_heads: 12 };
    const json = {
      vision_config: { model_type: "florence_vision" },
      text_config: { ...text_config, ...rest },
    };
    expect(parsePublishedConfig(json, "config.json")).toEqual({ ...florenceBase, vocab_size: 51328 });
  });

  test.each<[string, (json: Record<string, Record<string, unknown>>) => void, RegExp]>([
    [
      "no vision",
      (json) => (json.vision_config = {}),
      /^config.json: vision_config.dim_embed: .*; vision_config.num_heads: /,
    ],
    [
      "another activation",
      (json) => (json.text_config.activation_function = "relu"),
      /text_config.activation_function: expected "gelu", found "relu"/,
    ],
    [
      "scaled tokens",
      (json) => (json.text_config.scale_embedding = true),
      /scale_embedding: expected false, found true/,
    ],
    [
      "other features",
      (json) => (json.vision_config.image_feature_source = ["last_frame"]),
      /image_feature_source: expected/,
    ],
    [
      "a depth too few",
      (json) => (json.vision_config.depths = [1]),
      /vision_config.depths: expected one per stage, 2/,
    ],
    ["text for a number", (json) => (json.text_config.d_model = "8"), /text_config.d_model: .*found "8"/],
  ])("with %s is refused", (_, change, message) => {
    const json = structuredClone(publishedConfig(smallest)) as Record<string, Record<string, unknown>>;
    change(json);
    expect(() => parsePublishedConfig(json, "config.json")).toThrow(message);
  });
});

/** The numbers of a folder's encoder by name. */
function read(at: string): { config: FlorenceConfig; numbers: Map<string, number[]> } {
  using encoder = openFlorence2(at);
  const numbers = [...encoder.tensors].map(([name, tensor]): [string, number[]] => [
    name,
    [...tensor.read()].map(Number),
  ]);
  expect(encoder.vocabulary).toEqual(vocabulary);
  return { config: encoder.config, numbers: new Map(numbers) };
}

describe("a folder", () => {
  const tensors = publishedTensors();
  const expected = read(writeFolder(fresh(), { tensors }));

  test("gets the row of <Flow> that it lacks: the mean of the others, and the task token", () => {
    const { data } = tensors.get(TABLE) as HostTensor;
    const table = expected.numbers.get(TABLE) as number[];
    const prompt = expected.numbers.get("prompt_embeds") as number[];
    expect(expected.config).toEqual({ ...smallest, vocab_size: FLOW + 1 });
    expect(table.slice(0, -8)).toEqual([...data].map(Number));
    expect(table.slice(-8)).toEqual(prompt);
    prompt.forEach((value, i) => {
      let sum = 0;
      for (let row = 0; row < FLOW; row++) sum += data[8 * row + i] as number;
      expect(value).toBe(Math.fround(sum / FLOW));
    });
  });

  const layouts: [string, (tensors: Tensors) => Tensors, object][] = [
    ["original", (all) => all, publishedConfig(smallest)],
    ["original with its decoder", withDecoder, publishedConfig(smallest)],
    ["native", nativeTensors, nativeConfig(smallest)],
  ];
  for (const [layout, spell, config] of layouts) {
    test.each(Object.keys(FILES) as (keyof typeof FILES)[])(
      `${layout}, in %s, is the same encoder`,
      (file) => {
        expect(read(writeFolder(fresh(), { tensors: spell(tensors), file, config }))).toEqual(expected);
      },
    );
  }

  test("takes its positions from the weights: there are two revisions of large", () => {
    const at = writeFolder(fresh(), {
      config: publishedConfig({ ...smallest, max_position_embeddings: 64 }),
    });
    expect(read(at).config.max_position_embeddings).toBe(128);
  });

  test("of ours is read without its decoder, with the task token that it stores", () => {
    const ours = new Map([...tensors].map(([name, x]) => [`vlm.${name}`, x]));
    const prompt: HostTensor = {
      dtype: "F32",
      shape: [1, 1, 8],
      data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
    };
    ours.set("vlm.prompt_embeds", prompt).set("cond_proj.bias", prompt);
    const { numbers } = read(writeFolder(fresh(), { tensors: ours, config: { florence: smallest } }));
    expect(numbers.get("prompt_embeds")).toEqual([...(prompt.data as Float32Array)]);
    expect([...numbers.keys()].sort()).toEqual([...expected.numbers.keys()].sort());
  });

  test("is an encoder to train on, which sees what the published policies see unless it says otherwise", () => {
    const config = publishedConfig({ ...smallest, patch_stride: [16, 7] });
    const at = (perception?: object): string =>
      writeFolder(fresh(), { tensors: withDecoder(tensors), config: { ...config, perception } });
    const encoder = loadEncoder(at());
    expect(encoder.tokenizer).toEqual(vocabulary);
    expect(encoder.perception.config).toEqual(publishedPerception);
    expect(encoder.perception.florence.stateDict().size).toBe(expected.numbers.size);
    encoder.perception.florence.dispose();
    expect(() => loadEncoder(at({ ...publishedPerception, imageSize: 700 }))).toThrow(
      /imageSize: expected a map of at most 4 by as many tokens, found 7/,
    );
    expect(() => loadEncoder(at({ imageSize: 448 }))).toThrow(/perception.prompt: expected/);
  });

  test("of 16-bit floats is read as such", () => {
    const at = writeFolder(fresh(), { tensors: typed(tensors, "F16"), file: "pytorch_model.bin" });
    using encoder = openFlorence2(at);
    expect(encoder.tensors.get("image_projection")?.dtype).toBe("F16");
  });

  test("lists all that does not fit, and is refused in one line where it is none", () => {
    const broken = new Map(tensors);
    broken.delete("image_proj_norm.bias");
    broken.set("surprise", tensors.get("image_projection") as HostTensor);
    broken.set("image_projection", { dtype: "I32", shape: [8, 8], data: new Int32Array(64) });
    const at = writeFolder(fresh(), { tensors: broken });
    expect(() => openFlorence2(at)).toThrow(
      /model.safetensors: .*missing \(1\): image_proj_norm.bias.*misshapen \(1\): image_projection: .*extra \(1\): surprise/s,
    );

    expect(() => openFlorence2(join(folder, "none"))).toThrow(
      /none: expected config.json .*found no such folder/,
    );
    const bare = writeFolder(fresh());
    rmSync(join(bare, "model.safetensors"));
    expect(() => openFlorence2(bare)).toThrow(
      /expected weights .*, model.safetensors or .*found none of them/,
    );
    rmSync(join(bare, "config.json"));
    expect(() => openFlorence2(bare)).toThrow(/found no config.json$/);

    const other = writeFolder(fresh());
    const small = new Map(tensors).set(TABLE, {
      dtype: "F32",
      shape: [FLOW - 2, 8],
      data: new Float32Array((FLOW - 2) * 8),
    });
    FILES["model.safetensors"](other, small);
    expect(() => openFlorence2(other)).toThrow(
      `expected a token table with a row for each of the ${FLOW + 1} ids of tokenizer.json, found ${FLOW - 2}`,
    );
    writeFileSync(join(other, "config.json"), "[");
    expect(() => openFlorence2(other)).toThrow(/config.json: expected JSON/);
  });
});

const goldens = process.env.NINA_GOLDENS ? join(process.env.NINA_GOLDENS, "florence2") : undefined;

describe.skipIf(!goldens)("the tiny goldens (need NINA_GOLDENS)", () => {
  test("in both spellings are one encoder", () => {
    const golden = JSON.parse(readFileSync(join(goldens as string, "tiny_s0.json"), "utf8")) as TinyGolden;
    const config = goldenConfig(golden.config);
    const open = (file: string, json: object) =>
      read(writeFolder(fresh(), { tensors: readSafetensors(join(goldens as string, file)), config: json }));
    const original = open(golden.weights, publishedConfig(config));
    const native = open(golden.weights_native, nativeConfig(config));
    // Tables of later temporal rows differ in their last digits: they are computed in another order.
    const table = "visual_temporal_embed.pos_idx_to_embed";
    const [a, b] = [original, native].map(({ numbers }) => numbers.get(table) as number[]);
    expect(Math.max(...a.map((value, i) => Math.abs(value - b[i])))).toBeLessThan(5e-6);
    native.numbers.set(table, a);
    expect(native).toEqual(original);
    expect(original.config.vocab_size).toBe(300); // more than the tokenizer has ids
  });
});
