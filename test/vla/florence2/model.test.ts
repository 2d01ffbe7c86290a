import { fc, test } from "@fast-check/vitest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HostTensor, type LazyTensor, Random, Scope, Tensor, toHost } from "../../../core/index.ts";
import { inDType } from "../../../nn/index.ts";
import { type FlorenceConfig, florenceBase, florenceLarge } from "../../../vla/florence2/config.ts";
import { Florence2 } from "../../../vla/florence2/model.ts";
import { encoderTensors } from "../../../vla/florence2/names.ts";
import { WindowAttention } from "../../../vla/florence2/vision.ts";
import { loadFlorence2 } from "../../../vla/florence2/weights.ts";
import { cases } from "../../parity/florence2.ts";

const tiny: FlorenceConfig = {
  ...florenceBase,
  dim_embed: [8, 12, 16, 24],
  num_heads: [1, 2, 2, 3],
  num_groups: [2, 3, 4, 6],
  depths: [1, 1, 1, 1],
  max_temporal_embeddings: 3,
  vocab_size: 20,
  d_model: 16,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 32,
  max_position_embeddings: 50,
};

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope[Symbol.dispose]());

/** Window attention as the reference does it: zeros around the map, all tokens of all windows take part. */
function padded(attention: WindowAttention, x: Tensor): Tensor {
  const [B, H, W, C] = x.shape;
  const w = attention.window;
  const [rows, columns] = [Math.ceil(H / w), Math.ceil(W / w)];
  const windows = x
    .pad(1, 0, rows * w - H)
    .pad(2, 0, columns * w - W)
    .reshape([B, rows, w, columns, w, C])
    .permute([0, 1, 3, 2, 4, 5])
    .reshape([B * rows * columns, w * w, C]);
  const packed = attention.qkv.forward(windows);
  const options = { heads: attention.heads, width: C, keysAt: C, valuesAt: 2 * C };
  return attention.proj
    .forward(packed.attention(packed, packed, options))
    .reshape([B, rows, columns, w, w, C])
    .permute([0, 1, 3, 2, 4, 5])
    .reshape([B, rows * w, columns * w, C])
    .slice(1, 0, H)
    .slice(2, 0, W);
}

describe("WindowAttention", () => {
  test.prop([fc.nat(), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })], { numRuns: 30 })(
    "equals attention over padded windows",
    (seed, H, W) => {
      using _ = new Scope();
      const random = new Random(seed);
      const attention = inDType("float64", () => new WindowAttention(6, 2, 4)).init(random);
      const x = random.normals([2, H, W, 6], "float64");
      const expected = padded(attention, x).data;
      // A few hundred float64 operations per number.
      attention.forward(x).data.forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-13);
      });
      attention.dispose();
    },
  );
});

describe("Florence2", () => {
  it.each([
    [112, 17],
    [64, 5],
    [100, 17],
  ])("turns an image of %i pixels into %i tokens", (size, tokens) => {
    const model = new Florence2(tiny).init(new Random(1));
    const image = new Random(2).normals([2, 3, size, size]);
    expect(model.encodeImage(image).shape).toEqual([2, tokens, 16]);
    const ids = Tensor.from([0, 4, 2, 0, 5, 2], [2, 3], "int32");
    expect(model.forward([image, image], ids).shape).toEqual([2, 2 * tokens + 1 + 3, 16]);
    model.dispose();
  });

  it("has the parameter counts of the published encoders", () => {
    // Counting the prompt embedding (d_model numbers), which the published files do not store, as a frozen buffer.
    expect(countParameters(florenceBase)).toBe(173_913_856);
    expect(countParameters(florenceLarge)).toBe(567_561_216);
  });

  it("refuses what it has no positions for", () => {
    const model = new Florence2({ ...tiny, max_pos_embeddings: 3 }).init(new Random(1));
    expect(() => model.encodeImage(Tensor.zeros([1, 3, 112, 112]))).toThrow(
      "expected a map of at most 3 by 3 tokens, got 4 by 4",
    );
    const embeds = Tensor.zeros([1, 51, 16]);
    expect(() => model.language_model.model.encoder.forward(embeds)).toThrow(
      "expected at most 50 tokens, got 51",
    );
    expect(() => model.encodeImage(Tensor.zeros([1, 1, 112, 112]))).toThrow(
      "expected shape (B, 3, H, W), got (1, 1",
    );
    model.dispose();
  });
});

/** Without building 2 GB of weights: a model of the same shape with thin widths would not count the same. */
function countParameters(config: FlorenceConfig): number {
  const { dim_embed: C, depths, patch_size, patch_prenorm, d_model: d, encoder_ffn_dim: F } = config;
  const block = (c: number): number =>
    2 * 10 * c + (2 * c + 3 * c * (c + 1) + c * (c + 1)) + (2 * c + 8 * c * c + 5 * c);
  const stage = (c: number, i: number): number => {
    const from = i === 0 ? 3 : C[i - 1];
    return from * c * patch_size[i] ** 2 + c + 2 * (patch_prenorm[i] ? from : c) + depths[i] * 2 * block(c);
  };
  const tower = C.map(stage).reduce((a, b) => a + b);
  const D = C[3];
  const projection = D * d + 2 * d + config.max_pos_embeddings * D;
  const layer = 4 * d * (d + 1) + 2 * d + d * F + F + F * d + d + 2 * d;
  const text = (config.max_position_embeddings + 2) * d + 2 * d + config.encoder_layers * layer;
  return tower + projection + config.vocab_size * d + text;
}

describe("loadFlorence2", () => {
  const stored = (): Map<string, HostTensor> => {
    const model = new Florence2(tiny).init(new Random(3));
    const dict = new Map([...model.namedTensors()].map(([name, tensor]) => [name, toHost(tensor)]));
    model.dispose();
    return dict;
  };
  const SHARED = "language_model.model.shared.weight";
  const meanRow = ({ shape: [rows, width], data }: HostTensor): number[] =>
    Array.from({ length: width }, (_, i) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += data[row * width + i] as number;
      return Math.fround(sum / rows);
    });

  it("counts the parameters that the formula of the test above counts", () => {
    const model = new Florence2(tiny);
    expect(model.countParameters()).toBe(countParameters(tiny));
    model.dispose();
  });

  it.each(["language_model.model.encoder.embed_tokens.weight", "language_model.lm_head.weight"])(
    "finds the token table under %s and leaves the decoder out",
    (name) => {
      const dict = stored();
      const table = dict.get(SHARED) as HostTensor;
      dict.delete(SHARED);
      dict.set(name, table);
      dict.set("language_model.model.decoder.layers.0.fc1.weight", table);
      const model = loadFlorence2(tiny, dict);
      expect(model.language_model.model.shared.weight.toArray()).toEqual(
        Array.from(table.data as Float32Array),
      );
      model.dispose();
    },
  );

  it("takes the task token from the mean of the table when nothing better is stored", () => {
    const dict = stored();
    dict.delete("prompt_embeds");
    const model = loadFlorence2(tiny, dict);
    expect(model.prompt_embeds.toArray()).toEqual(meanRow(dict.get(SHARED) as HostTensor));
    model.dispose();
  });

  it.each([
    [19, "its row"],
    [20, "the mean where it has none"],
  ])("takes the task token %i from the table: %s", (flow) => {
    const dict = stored();
    dict.delete("prompt_embeds");
    const table = dict.get(SHARED) as HostTensor;
    const prompt = encoderTensors(dict, "", flow).get("prompt_embeds") as LazyTensor;
    const row = [...(table.data as Float32Array).slice(16 * flow, 16 * flow + 16)];
    expect(prompt.shape).toEqual([1, 1, 16]);
    expect([...(prompt.read() as Float32Array)]).toEqual(row.length > 0 ? row : meanRow(table));
  });

  it.each(["language_encoder.", "language_model."])("knows the text encoder under %s too", (short) => {
    const long = "language_model.model.encoder.";
    const given = new Map([...stored()].map(([name, tensor]) => [name.replace(long, short), tensor]));
    expect([...encoderTensors(given).keys()].sort()).toEqual([...stored().keys()].sort());
  });

  it("takes the numbers of rows from the file and the names behind a prefix", () => {
    const dict = new Map([...stored()].map(([name, tensor]) => [`vlm.${name}`, tensor]));
    dict.set("cond_proj.weight", { dtype: "F32", shape: [1], data: new Float32Array(1) });
    const model = loadFlorence2({ ...tiny, vocab_size: 7, max_position_embeddings: 7 }, dict, "vlm.");
    expect(model.config).toMatchObject({ vocab_size: 20, max_position_embeddings: 50 });
    model.dispose();
  });

  it("lists what does not fit", () => {
    const dict = stored();
    dict.delete("image_proj_norm.bias");
    dict.set("image_projection", { dtype: "F32", shape: [2, 2], data: new Float32Array(4) });
    dict.set("surprise", { dtype: "F32", shape: [1], data: new Float32Array(1) });
    expect(() => loadFlorence2(tiny, dict)).toThrow(
      /missing \(1\): image_proj_norm.bias[\s\S]*misshapen \(1\): image_projection: expected \(24, 16\), got \(2, 2\)[\s\S]*extra \(1\): surprise/,
    );
  });
});

describe.skipIf(!process.env.NINA_GOLDENS)("the tiny goldens (needs NINA_GOLDENS)", async () => {
  const all = process.env.NINA_GOLDENS ? await cases(`${process.env.NINA_GOLDENS}/florence2`) : [];
  it.each(
    all.filter(({ kind }) => kind !== "encoder full size").map((c) => [`${c.name}: ${c.kind}`, c] as const),
  )("%s", async (_name, { run }) => {
    const result = await run?.();
    expect(result, result?.note).toMatchObject({ pass: true });
  });
});
