import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ndarray from "ndarray";
import { afterAll, expect, test } from "vitest";
import { Random, type Tensor } from "../../core/index.ts";
import { Linear, Module } from "../../nn/index.ts";
import { loadCheckpoint, saveCheckpoint } from "../../vla/checkpoint.ts";
import { CHUNK_RULES, type ChunkConfig, type Decoder } from "../../vla/decoder.ts";
import { type DecoderConfig, makeDecoder, registerDecoder } from "../../vla/decoders.ts";
import { EMBEDDED } from "../../vla/eval/options.ts";
import type { Observation } from "../../vla/observation.ts";
import type { EpisodeKey } from "../../vla/policies/index.ts";
import { ninaPolicy } from "../../vla/policies/nina.ts";

/** Actions are a linear function of the mean feature, with some noise: no density, no form for inference. */
class LinearDecoder extends Module implements Decoder<{ action: Tensor }> {
  head: Linear;
  readonly config: ChunkConfig;

  constructor(config: ChunkConfig) {
    super();
    this.config = config;
    this.head = new Linear(config.features, config.steps * config.actionWidth);
  }

  condition(features: Tensor): Tensor {
    return features.mean([1]);
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    return this.head.forward(condition).reshape(z.shape).add(z.scale(0.1)).clamp(-1, 1);
  }

  loss(actions: Tensor, condition: Tensor): Tensor {
    const error = this.head.forward(condition).reshape(actions.shape).sub(actions);
    return error.mul(error).mean();
  }

  drawNoise(batch: number, random: Random): { action: Tensor } {
    return { action: random.normals([batch, this.config.steps, this.config.actionWidth]) };
  }
}

const folder = mkdtempSync(join(tmpdir(), "nina-decoders-"));
afterAll(() => rmSync(folder, { recursive: true }));

const kind = {
  rules: CHUNK_RULES,
  faults: ({ steps }: ChunkConfig) => (steps > 50 ? ["decoder.steps: expected at most 50"] : []),
  make: (config: ChunkConfig) => new LinearDecoder(config),
};

test("a decoder of one's own is saved, loaded and played like ours", async () => {
  const { config, florence } = loadCheckpoint(EMBEDDED.checkpoint);
  const sizes = { steps: 4, actionWidth: 7, features: config.florence.d_model, tokenDropout: 0 };
  // What a table of our kinds cannot know.
  const decoder = { kind: "linear", ...sizes } as unknown as DecoderConfig;
  expect(() => makeDecoder(decoder)).toThrow(
    "makeDecoder: expected one of mlp, transformer, mse, flower, got linear",
  );
  registerDecoder("linear", kind);
  expect(() => registerDecoder("linear", kind)).toThrow("expected a new name, got linear");

  const made = makeDecoder(decoder).init(new Random(1)) as Decoder;
  const sampling = { temperature: 1, actionsPerQuery: 3 };
  const tokenizer = JSON.parse(readFileSync(join(EMBEDDED.checkpoint, "tokenizer.json"), "utf8"));
  const saved = { config: { ...config, decoder, sampling }, florence, decoder: made };
  await saveCheckpoint(folder, saved, tokenizer);

  const source = ninaPolicy(folder);
  expect(source.hasDensity).toBe(false);
  const policy = source.forEpisode({ instruction: "push" } as EpisodeKey);
  policy.reset(3);
  const image = ndarray(new Uint8Array(64 * 64 * 3).fill(90), [64, 64, 3]);
  const seen = { agentview_image: image, robot0_eye_in_hand_image: image } as unknown as Observation;
  const { actions } = await policy.act(seen, "push");
  expect(actions.map(({ length }) => length)).toEqual([7, 7, 7]);

  const path = join(folder, "config.json");
  const long = { ...saved, config: { ...saved.config, decoder: { ...decoder, steps: 51 } } };
  await saveCheckpoint(folder, long, tokenizer);
  expect(() => ninaPolicy(folder)).toThrow(`${path}: decoder.steps: expected at most 50`);
});
