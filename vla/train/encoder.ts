import { existsSync } from "node:fs";
import { join } from "node:path";
import { Florence2 } from "../florence2/model.ts";
import { openFlorence2 } from "../florence2/published.ts";
import type { TokenizerJson } from "../florence2/tokenizer.ts";
import { checkRoom, Perception } from "../perception.ts";

/** An encoder to train a decoder on, and what a checkpoint with it needs. */
export interface Encoder {
  readonly perception: Perception;
  readonly tokenizer: TokenizerJson;
  /** Where it comes from. */
  readonly folder: string;
}

/**
 * The encoder of any folder that `openFlorence2` takes, such as a checkpoint's. Of the folder of a training run it is
 * that of its last checkpoint.
 */
export function loadEncoder(path: string): Encoder {
  const folder = existsSync(join(path, "last")) ? join(path, "last") : path;
  using encoder = openFlorence2(folder);
  const { config, perception, tokenizer, vocabulary } = encoder;
  const wrong = checkRoom(config, perception);
  if (wrong.length > 0) throw new Error(`encoder ${folder}: ${wrong.join("; ")}`);
  const model = new Florence2(config).load(encoder.tensors);
  return { perception: new Perception(model, tokenizer, perception), tokenizer: vocabulary, folder };
}
