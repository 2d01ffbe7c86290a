import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  countElements,
  FormatError,
  lazily,
  openSafetensors,
  printable,
  readText,
} from "../../core/index.ts";
import { buildWithin } from "../../nn/index.ts";
import { checkFields } from "../check-config.ts";
import { checkFlorenceConfig, type FlorenceConfig } from "../florence2/config.ts";
import { loadTokenizer, type TokenizerJson } from "../florence2/tokenizer.ts";
import { loadFlorence2 } from "../florence2/weights.ts";
import { checkRoom, PERCEPTION_RULES, Perception, type PerceptionConfig } from "../perception.ts";

/** An encoder to train a decoder on, and what a checkpoint with it needs. */
export interface Encoder {
  readonly perception: Perception;
  readonly tokenizer: TokenizerJson;
  /** Where it comes from. */
  readonly folder: string;
}

const MAX_CONFIG = 2 ** 20;
const MAX_TOKENIZER = 2 ** 24;

/**
 * The encoder of a checkpoint folder, whatever else is in it: `florence` and `perception` of `config.json`,
 * `tokenizer.json`, and the tensors under `vlm.` of `model.safetensors`. Of the folder of a training run it is that of
 * its last checkpoint.
 */
export function loadEncoder(path: string): Encoder {
  const folder = existsSync(join(path, "last")) ? join(path, "last") : path;
  const { florence, perception } = readConfig(join(folder, "config.json"));
  using file = openSafetensors(join(folder, "model.safetensors"));
  const weights = new Map([...lazily(file)].filter(([name]) => name.startsWith("vlm.")));
  let numbers = 0;
  for (const { shape } of weights.values()) numbers += countElements(shape) as number;
  try {
    const model = buildWithin(2 * numbers + 2 ** 20, () => loadFlorence2(florence, weights, "vlm."));
    const vocabulary = join(folder, "tokenizer.json");
    return {
      perception: new Perception(model, loadTokenizer(vocabulary), perception),
      tokenizer: JSON.parse(readText(vocabulary, MAX_TOKENIZER)),
      folder,
    };
  } catch (cause) {
    throw new Error(`encoder ${folder}: ${(cause as Error).message}`, { cause });
  }
}

function readConfig(path: string): { florence: FlorenceConfig; perception: PerceptionConfig } {
  let config: { florence?: FlorenceConfig; perception?: PerceptionConfig } | null;
  try {
    config = JSON.parse(readText(path, MAX_CONFIG));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(path, "JSON", cause.message);
    throw cause;
  }
  const { florence, perception } = config ?? {};
  const wrong = [
    ...checkFlorenceConfig(florence),
    ...checkFields("perception", perception, PERCEPTION_RULES),
  ];
  if (wrong.length === 0)
    wrong.push(...checkRoom(florence as FlorenceConfig, perception as PerceptionConfig));
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong.join("; "), 1500)}`);
  return { florence: florence as FlorenceConfig, perception: perception as PerceptionConfig };
}
