import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { describe, expect, onTestFinished } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import { trainBpe } from "../../vla/florence2/bpe-train.ts";
import type { FlorenceConfig } from "../../vla/florence2/config.ts";
import { processImage } from "../../vla/florence2/image-processor.ts";
import { Florence2 } from "../../vla/florence2/model.ts";
import { promptFor } from "../../vla/florence2/prompt.ts";
import { Tokenizer } from "../../vla/florence2/tokenizer.ts";
import { checkRoom, Perception, type PerceptionConfig } from "../../vla/perception.ts";

const tokenizer = new Tokenizer(trainBpe(["push the drawer shut", "open the drawer"], { size: 290 }));
const encoder: FlorenceConfig = {
  dim_embed: [2, 2],
  num_heads: [1, 1],
  num_groups: [1, 1],
  depths: [1, 1],
  window_size: 2,
  patch_size: [3, 3],
  patch_stride: [2, 2],
  patch_padding: [1, 1],
  patch_prenorm: [false, true],
  drop_path_rate: 0,
  max_pos_embeddings: 2,
  max_temporal_embeddings: 1,
  vocab_size: tokenizer.size,
  d_model: 4,
  encoder_layers: 1,
  encoder_attention_heads: 1,
  encoder_ffn_dim: 4,
  max_position_embeddings: 40,
  dropout: 0,
};
const florence = new Florence2(encoder).init(new Random(1));
const base: PerceptionConfig = { imageSize: 8, prompt: "instruction", promptLength: 12, cameraSize: null };
const make = (change: Partial<PerceptionConfig> = {}): Perception =>
  new Perception(florence, tokenizer, { ...base, ...change });

describe("tokens", () => {
  test.prop([fc.string({ unit: "binary" }), fc.integer({ min: 2, max: 200 })])(
    "of a fixed length are the prompt's own, then padding; what is longer is refused by name",
    (instruction, promptLength) => {
      const perception = make({ promptLength });
      const own = tokenizer.encode(promptFor(instruction, "instruction"), Infinity);
      if (own.length > promptLength) {
        expect(() => perception.tokens(instruction)).toThrow(
          `expected a prompt of at most ${promptLength} tokens, got ${own.length} for "`,
        );
        return;
      }
      const ids = perception.tokens(instruction);
      expect(ids).toHaveLength(promptLength);
      expect([...ids.subarray(0, own.length)]).toEqual(own);
      expect(ids.subarray(own.length).every((id) => id === tokenizer.pad)).toBe(true);
    },
  );

  test.prop([fc.string({ unit: "binary", maxLength: 300 })])(
    "without a length are as many as the prompt has, cut after 77",
    (instruction) => {
      const perception = make({ promptLength: null, prompt: "template" });
      expect([...perception.tokens(instruction)]).toEqual(tokenizer.encode(promptFor(instruction)));
      expect(perception.tokens(instruction).length).toBeLessThanOrEqual(77);
    },
  );

  test("are of the published sentence, or of the instruction alone", () => {
    const [whole, alone] = (["template", "instruction"] as const).map((prompt) =>
      make({ prompt, promptLength: null }).tokens("open the drawer"),
    );
    expect([...alone]).toEqual(tokenizer.encode("open the drawer"));
    expect([...whole]).toEqual(tokenizer.encode(promptFor("open the drawer", "template")));
    expect(whole.length).toBeGreaterThan(alone.length);
  });
});

test("pixels are what the image processor makes of a picture of any size", () => {
  const picture = ndarray(
    Uint8Array.from({ length: 300 }, (_, i) => (i * 7) % 256),
    [10, 10, 3],
  );
  const shift = { dx: 1, dy: -2 };
  expect(make().pixels(picture)).toEqual(processImage(picture, 8));
  expect(make().pixels(picture, shift, 1.2)).toEqual(processImage(picture, 8, shift, 1.2));
});

test("features are those of both pictures and the words, row by row", () => {
  const scope = new Scope();
  onTestFinished(() => scope[Symbol.dispose]());
  const perception = make();
  const random = new Random(3);
  const pictures = [random.normals([2, 3, 8, 8]), random.normals([2, 3, 8, 8])] as const;
  const words = ["open the drawer", "push the drawer shut"].flatMap((text) => [...perception.tokens(text)]);
  const features = perception.features(...pictures, Tensor.from(words, [2, 12], "int32"));
  expect(features.shape).toEqual([2, 2 * (1 + 4) + 1 + 12, 4]);
  const [agentview, wrist] = pictures.map((picture) => picture.slice(0, 1, 2));
  const second = perception.features(
    agentview,
    wrist,
    Tensor.from(perception.tokens("push the drawer shut"), [1, 12], "int32"),
  );
  // Products of other sizes add in another order: float32 rounding of numbers near 1.
  second.data.forEach((value, i) => {
    expect(Math.abs(value - features.data[second.size + i])).toBeLessThan(1e-5);
  });
});

test("an encoder has room for pictures and prompts, or is told what it lacks", () => {
  expect(checkRoom(encoder, base)).toEqual([]);
  expect(checkRoom(encoder, { ...base, promptLength: 29 })).toEqual([]);
  expect(checkRoom(encoder, { ...base, promptLength: 30 })[0]).toContain("at most 40 tokens");
  expect(checkRoom(encoder, { ...base, promptLength: null })[0]).toContain("found 88");
  expect(checkRoom(encoder, { ...base, imageSize: 9 })[0]).toContain("at most 2 by as many tokens, found 3");
});
