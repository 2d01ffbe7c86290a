import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Random, Scope, Tensor } from "../../../core/index.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../vla/checkpoint.ts";
import { makeDecoder } from "../../../vla/decoders.ts";
import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import { Florence2 } from "../../../vla/florence2/model.ts";
import { promptFor } from "../../../vla/florence2/prompt.ts";
import { Tokenizer } from "../../../vla/florence2/tokenizer.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { jsonValues, safetensorsHeader } from "../structure.ts";

/** Of the square pictures, pixels. */
const SIDE = 32;
const FILES = ["config.json", "tokenizer.json", "model.safetensors"];

/** A policy's folder at the smallest size that has every part. */
async function smallest(): Promise<Input[]> {
  const vocabulary = trainBpe(["push the drawer shut"], { size: 270 });
  const florence = {
    dim_embed: [2, 2, 2, 2],
    num_heads: [1, 1, 1, 1],
    num_groups: [1, 1, 1, 1],
    depths: [1, 1, 1, 1],
    window_size: 2,
    patch_size: [7, 3, 3, 3],
    patch_stride: [4, 2, 2, 2],
    patch_padding: [3, 1, 1, 1],
    patch_prenorm: [false, true, true, true],
    drop_path_rate: 0,
    max_pos_embeddings: 2,
    max_temporal_embeddings: 1,
    vocab_size: new Tokenizer(vocabulary).size,
    d_model: 2,
    encoder_layers: 1,
    encoder_attention_heads: 1,
    encoder_ffn_dim: 2,
    max_position_embeddings: 128,
    dropout: 0,
  };
  const decoder = {
    kind: "mlp",
    steps: 2,
    actionWidth: 7,
    features: 2,
    condition: 2,
    blocks: 1,
    width: 2,
    plu: true,
    tokenDropout: 0,
    actionNoise: 0,
  } as const;
  const perception = { imageSize: SIDE, prompt: "template", promptLength: null, cameraSize: null } as const;
  const sampling = { temperature: 1, actionsPerQuery: 2 };
  const config = { florence, decoder, perception, sampling, untrained: true };
  const random = new Random(0);
  const folder = mkdtempSync(join(tmpdir(), "fuzz-checkpoint-"));
  try {
    const parts = {
      florence: new Florence2(florence).init(random),
      decoder: makeDecoder(decoder).init(random),
    };
    await saveCheckpoint(folder, { config, ...parts }, vocabulary);
    return FILES.map((file) => ({ file, bytes: readFileSync(join(folder, file)) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Loads a policy's folder, one of its files changed, and has it plan once: from picture and words to actions. */
const reader: Reader = {
  seeds: await smallest(),
  mutations: [
    (bytes, random, other) => (bytes[0] === 0x7b ? jsonValues : safetensorsHeader)(bytes, random, other),
  ],
  prepare: () => (path) => {
    using _ = new Scope();
    const { config, florence, decoder, tokenizer } = loadCheckpoint(dirname(path));
    const { ids, shape } = tokenizer.encodeBatch([promptFor("push the drawer shut")]);
    const { imageSize } = config.perception;
    const picture = new Random(0).normals([1, 3, imageSize, imageSize]);
    const features = florence.forward([picture, picture], Tensor.from(ids, shape, "int32"));
    const { steps, actionWidth } = decoder.config;
    const noise = new Random(0).normals([1, steps, actionWidth]);
    const actions = decoder.sample(noise, decoder.condition(features));
    // Weights may be anything, so the chunk may: who plays it refuses what is no action.
    if (actions.size !== steps * actionWidth) throw new BrokenLaw(`a chunk of (${actions.shape})`);
    return `actions (${actions.shape})`;
  },
};

export default reader;
