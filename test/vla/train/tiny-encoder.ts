import { join } from "node:path";
import { Random } from "../../../core/index.ts";
import { type Checkpoint, saveCheckpoint } from "../../../vla/checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../../../vla/decoders.ts";
import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import { Florence2 } from "../../../vla/florence2/model.ts";
import { Tokenizer } from "../../../vla/florence2/tokenizer.ts";
import { writeSmallFile } from "../data/small-files.ts";
import { smallest } from "../florence2/folders.ts";

export const INSTRUCTIONS = ["push the drawer shut", "lift the block"] as const;

/** Writes a checkpoint of the smallest encoder that there is, pictures of 16 pixels, features of 8 numbers. */
export async function writeTinyEncoder(folder: string): Promise<void> {
  const vocabulary = trainBpe(INSTRUCTIONS, { size: 300 });
  const tokenizer = new Tokenizer(vocabulary);
  const decoder: DecoderConfig = {
    kind: "mlp",
    steps: 2,
    actionWidth: 7,
    features: 8,
    tokenDropout: 0,
    condition: 4,
    blocks: 1,
    width: 4,
    plu: false,
    actionNoise: 0,
  };
  const config: Checkpoint["config"] = {
    florence: {
      ...smallest,
      num_heads: [1, 2],
      max_temporal_embeddings: 1,
      max_position_embeddings: 64,
      vocab_size: tokenizer.size,
    },
    decoder,
    perception: { imageSize: 16, prompt: "instruction", promptLength: 20, cameraSize: null },
    sampling: { temperature: 1, actionsPerQuery: 2 },
    untrained: true,
  };
  const random = new Random(1);
  const florence = new Florence2(config.florence).init(random);
  await saveCheckpoint(folder, { config, florence, decoder: makeDecoder(decoder).init(random) }, vocabulary);
}

/** Writes two files of demonstrations, 64 steps in all. */
export async function writeTinyData(folder: string): Promise<void> {
  for (const [i, instruction] of INSTRUCTIONS.entries())
    await writeSmallFile(join(folder, `${instruction.replaceAll(" ", "_")}_demo.hdf5`), {
      lengths: [5, 6, 7, 6, 8],
      size: 16,
      instruction,
      first: 5 * i,
    });
}
