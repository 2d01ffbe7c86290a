/** Writes the untrained checkpoint of the embedded suite: `npx tsx vla/suites/mini/make-checkpoint.ts --help`. */
import { fileURLToPath } from "node:url";
import { parseCli, runMain } from "../../../cli/index.ts";
import { Random } from "../../../core/index.ts";
import { makeDecoder, type PolicyConfig, saveCheckpoint } from "../../checkpoint.ts";
import { trainBpe } from "../../florence2/bpe-train.ts";
import type { FlorenceConfig } from "../../florence2/config.ts";
import { Florence2 } from "../../florence2/model.ts";
import { promptFor } from "../../florence2/prompt.ts";
import { Tokenizer } from "../../florence2/tokenizer.ts";
import { loadSuite } from "../../libero/suites.ts";
import { MINI, miniRoots } from "./roots.ts";

/** Where the embedded suite's policy lies. */
export const miniCheckpoint: string = fileURLToPath(new URL("checkpoint", import.meta.url));

/** Florence-2's shape at a size that decides in milliseconds. */
const encoder: Omit<FlorenceConfig, "vocab_size"> = {
  dim_embed: [16, 24, 32, 48],
  num_heads: [1, 2, 2, 3],
  num_groups: [1, 2, 2, 3],
  depths: [1, 1, 2, 1],
  window_size: 12,
  patch_size: [7, 3, 3, 3],
  patch_stride: [4, 2, 2, 2],
  patch_padding: [3, 1, 1, 1],
  patch_prenorm: [false, true, true, true],
  drop_path_rate: 0.1,
  max_pos_embeddings: 50,
  max_temporal_embeddings: 1,
  d_model: 48,
  encoder_layers: 2,
  encoder_attention_heads: 4,
  encoder_ffn_dim: 96,
  max_position_embeddings: 128,
  dropout: 0.1,
};

/** Draws encoder and decoder from a seed and trains a vocabulary on the suite's own instructions. */
export async function makeMiniCheckpoint(dir: string, seed: number): Promise<void> {
  const prompts = loadSuite(miniRoots.libero, MINI).tasks.map((task) => promptFor(task.instruction));
  const vocabulary = trainBpe(prompts, { size: 400 });
  const decoder = {
    kind: "mlp",
    steps: 10,
    actionWidth: 7,
    features: encoder.d_model,
    tokenDropout: 0.1,
    condition: 32,
    blocks: 6,
    width: 32,
    plu: true,
    actionNoise: 0.03,
  } as const;
  const config: PolicyConfig = {
    florence: { ...encoder, vocab_size: new Tokenizer(vocabulary).size },
    decoder,
    perception: { imageSize: 112, prompt: "template", promptLength: null, cameraSize: null },
    sampling: { temperature: 1, actionsPerQuery: 10 },
    untrained: true,
  };
  const random = new Random(seed);
  const checkpoint = {
    config,
    florence: new Florence2(config.florence).init(random),
    decoder: makeDecoder(decoder).init(random),
  };
  await saveCheckpoint(dir, checkpoint, vocabulary);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    const { out, seed } = parseCli(
      {
        usage: "npx tsx vla/suites/mini/make-checkpoint.ts [options]",
        description:
          "Draws the embedded suite's untrained policy from a seed and writes it as a checkpoint folder.",
        options: {
          out: { type: "string", default: miniCheckpoint, help: "folder to write" },
          seed: { type: "integer", least: 0, default: 0, help: "of all random numbers" },
        },
      },
      process.argv.slice(2),
    );
    await makeMiniCheckpoint(out, seed);
  });
}
