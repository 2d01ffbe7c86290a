import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  lazily,
  openSafetensors,
  toHost,
  writeFileAtomic,
  writeSafetensors,
} from "../../core/index.ts";
import type { Decoder } from "../decoder.ts";
import type { FlorenceConfig } from "../florence2/config.ts";
import type { Florence2 } from "../florence2/model.ts";
import { loadTokenizer, type Tokenizer, type TokenizerJson } from "../florence2/tokenizer.ts";
import { loadFlorence2 } from "../florence2/weights.ts";
import { type MlpConfig, MlpDecoder } from "./mlp.ts";
import { type MseConfig, MseDecoder } from "./mse.ts";
import { type TransformerConfig, TransformerDecoder } from "./transformer.ts";

/** A decoder's kind and its sizes. */
export type DecoderConfig =
  | ({ readonly kind: "mlp" } & MlpConfig)
  | ({ readonly kind: "transformer" } & TransformerConfig)
  | ({ readonly kind: "mse" } & MseConfig);

/** `config.json` of a checkpoint folder. */
export interface PolicyConfig {
  readonly florence: FlorenceConfig;
  readonly decoder: DecoderConfig;
  /** Side of the square pictures the vision tower sees, pixels. */
  readonly imageSize: number;
  /** True for weights that were drawn, not learnt: whoever shows results says so. */
  readonly untrained: boolean;
}

/** All that makes a policy. */
export interface Checkpoint {
  readonly config: PolicyConfig;
  readonly florence: Florence2;
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

const FILES = { config: "config.json", weights: "model.safetensors", tokenizer: "tokenizer.json" } as const;
/** Names of the encoder begin so, as in the reference's checkpoints; the decoder's stand beside them. */
const ENCODER = "vlm.";

/** Builds a decoder with undefined weights. */
export function makeDecoder(config: DecoderConfig): Decoder {
  switch (config.kind) {
    case "mlp":
      return new MlpDecoder(config);
    case "transformer":
      return new TransformerDecoder(config);
    case "mse":
      return new MseDecoder(config);
  }
}

/**
 * Reads a checkpoint folder: `config.json`, `tokenizer.json`, and `model.safetensors` with the encoder under `vlm.` and
 * the decoder under the reference's names (`cond_proj.*`, `nf.*`). Throws one error that names the folder, and lists
 * every tensor that is missing, misshapen or left over.
 */
export function loadCheckpoint(dir: string): Checkpoint {
  for (const file of Object.values(FILES)) {
    if (!existsSync(join(dir, file))) {
      throw new Error(`checkpoint ${dir}: expected ${Object.values(FILES).join(", ")}, found no ${file}`);
    }
  }
  const config = readConfig(join(dir, FILES.config));
  const tokenizer = loadTokenizer(join(dir, FILES.tokenizer));
  using file = openSafetensors(join(dir, FILES.weights));
  const weights = lazily(file);
  try {
    const florence = loadFlorence2(config.florence, weights, ENCODER);
    const own = new Map([...weights].filter(([name]) => !name.startsWith(ENCODER)));
    const decoder = makeDecoder(config.decoder);
    decoder.load(own);
    if (tokenizer.size > florence.config.vocab_size) {
      throw new Error(
        `tokenizer with ${tokenizer.size} ids for a table of ${florence.config.vocab_size} rows`,
      );
    }
    return { config, florence, decoder, tokenizer };
  } catch (cause) {
    throw new Error(`checkpoint ${dir}: ${(cause as Error).message}`, { cause });
  }
}

function readConfig(path: string): PolicyConfig {
  let config: Partial<PolicyConfig>;
  try {
    config = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Error(`${path}: expected JSON, ${(cause as Error).message}`, { cause });
  }
  const { florence, decoder, imageSize, untrained } = config;
  if (!florence || !decoder || typeof imageSize !== "number" || typeof untrained !== "boolean") {
    throw new Error(
      `${path}: expected florence, decoder, imageSize and untrained, found ${Object.keys(config).join(", ")}`,
    );
  }
  const kinds: readonly string[] = ["mlp", "transformer", "mse"];
  if (!kinds.includes(decoder.kind)) {
    const found = JSON.stringify(decoder.kind);
    throw new Error(`${path}: expected a decoder of kind ${kinds.join(", ")}, found ${found}`);
  }
  return { florence, decoder, imageSize, untrained };
}

/** Writes a checkpoint folder, each file under a temporary name first. */
export function saveCheckpoint(
  dir: string,
  { config, florence, decoder }: Omit<Checkpoint, "tokenizer">,
  tokenizer: TokenizerJson,
): void {
  mkdirSync(dir, { recursive: true });
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of florence.namedTensors()) tensors.set(ENCODER + name, toHost(tensor));
  for (const [name, tensor] of decoder.namedTensors()) tensors.set(name, toHost(tensor));
  writeSafetensors(join(dir, FILES.weights), tensors);
  writeFileAtomic(join(dir, FILES.tokenizer), `${JSON.stringify(tokenizer)}\n`);
  writeFileAtomic(join(dir, FILES.config), `${JSON.stringify(config, null, 2)}\n`);
}
