import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  countElements,
  FormatError,
  type HostTensor,
  lazily,
  makeFolder,
  openSafetensors,
  printable,
  readText,
  toHost,
  writeFileAtomic,
  writeSafetensors,
} from "../../core/index.ts";
import { Permutation } from "../../flows/index.ts";
import { buildWithin } from "../../nn/index.ts";
import { checkFields, flag, type Rule, real, whole } from "../check-config.ts";
import type { Decoder } from "../decoder.ts";
import { checkFlorenceConfig, checkImageSize, type FlorenceConfig } from "../florence2/config.ts";
import type { Florence2 } from "../florence2/model.ts";
import { loadTokenizer, MAX_LENGTH, type Tokenizer, type TokenizerJson } from "../florence2/tokenizer.ts";
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
 * all that is wrong with the configuration or the tokenizer, or every tensor that is missing, misshapen or left over.
 * What is built holds at most twice the numbers of the file and a few more, and no memory is kept after an error.
 */
export function loadCheckpoint(dir: string): Checkpoint {
  for (const file of Object.values(FILES)) {
    if (!existsSync(join(dir, file))) {
      throw new Error(`checkpoint ${dir}: expected ${Object.values(FILES).join(", ")}, found no ${file}`);
    }
  }
  const config = readConfig(join(dir, FILES.config));
  using file = openSafetensors(join(dir, FILES.weights));
  const weights = lazily(file);
  let numbers = 0;
  for (const { shape } of weights.values()) numbers += countElements(shape) as number;
  // Room for what a file lacks, so that the error can list it; not for the sizes that a wrong configuration may name.
  const most = 2 * numbers + 2 ** 20;
  try {
    const tokenizer = loadTokenizer(join(dir, FILES.tokenizer));
    return buildWithin(most, () => {
      const florence = loadFlorence2(config.florence, weights, ENCODER);
      const own = new Map([...weights].filter(([name]) => !name.startsWith(ENCODER)));
      const decoder = makeDecoder(config.decoder);
      decoder.load(own);
      for (const module of decoder.modules())
        if (module instanceof Permutation) module.check(`${FILES.weights}, a permutation`);
      if (tokenizer.size > florence.config.vocab_size) {
        throw new Error(
          `tokenizer with ${tokenizer.size} ids for a table of ${florence.config.vocab_size} rows`,
        );
      }
      const [wrong] = checkImageSize(florence.config, config.imageSize, MAX_LENGTH);
      if (wrong !== undefined) throw new Error(`${FILES.config}: ${wrong}`);
      return { config, florence, decoder, tokenizer };
    });
  } catch (cause) {
    throw new Error(`checkpoint ${dir}: ${(cause as Error).message}`, { cause });
  }
}

/** Bytes of a `config.json`. */
const MAX_CONFIG = 2 ** 20;

/** Far beyond any decoder of the paper, and small enough to multiply. */
const CHUNK_RULES: Readonly<Record<string, Rule>> = {
  steps: whole(1, 1000),
  actionWidth: whole(1, 1000),
  features: whole(1, 16_384),
  condition: whole(1, 16_384),
  blocks: whole(1, 1000),
  width: whole(1, 16_384),
  plu: flag,
  actionNoise: real(0, 10),
};
const TRANSFORMER_RULES = {
  ...CHUNK_RULES,
  heads: whole(1, 1024),
  depth: whole(0, 1000),
  dropout: real(0, 0.999),
};
const DECODER_RULES: Readonly<Record<DecoderConfig["kind"], Readonly<Record<string, Rule>>>> = {
  mlp: CHUNK_RULES,
  transformer: TRANSFORMER_RULES,
  mse: TRANSFORMER_RULES,
};

/** Reads and checks a checkpoint folder's `config.json`. */
export function readConfig(path: string): PolicyConfig {
  let config: Partial<PolicyConfig> | null;
  try {
    config = JSON.parse(readText(path, MAX_CONFIG));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(path, "JSON", cause.message);
    throw cause;
  }
  const { florence, decoder, imageSize, untrained } = config ?? {};
  if (!florence || !decoder || typeof imageSize !== "number" || typeof untrained !== "boolean") {
    const found = Object.keys(config ?? {}).join(", ");
    throw new FormatError(path, "florence, decoder, imageSize and untrained", found === "" ? "none" : found);
  }
  if (!Object.hasOwn(DECODER_RULES, decoder.kind)) {
    const kinds = Object.keys(DECODER_RULES).join(", ");
    throw new FormatError(path, `a decoder of kind ${kinds}`, JSON.stringify(decoder.kind) ?? "none");
  }
  const wrong = [
    ...checkFlorenceConfig(florence),
    ...checkDecoder(decoder, florence),
    ...checkFields("config", { imageSize }, { imageSize: whole(1, 4096) }),
  ];
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong.join("; "), 1500)}`);
  return { florence, decoder, imageSize, untrained };
}

/** What is wrong with a decoder's sizes, alone and beside the encoder's: one line each. */
function checkDecoder(decoder: DecoderConfig, { d_model }: FlorenceConfig): string[] {
  const wrong = checkFields("decoder", decoder, DECODER_RULES[decoder.kind]);
  if (wrong.length > 0) return wrong;
  const { steps, actionWidth, features } = decoder;
  if (features !== d_model) {
    wrong.push(`decoder.features: expected florence.d_model = ${d_model}, found ${features}`);
  }
  if (decoder.kind === "mlp" && (steps * actionWidth) % 2 !== 0) {
    wrong.push(`decoder.steps: expected an even number of entries, found ${steps} x ${actionWidth}`);
  }
  if (decoder.kind === "transformer" && steps % 2 !== 0) {
    wrong.push(`decoder.steps: expected an even number, found ${steps}`);
  }
  if (decoder.kind !== "mlp" && decoder.width % decoder.heads !== 0) {
    wrong.push(`decoder.heads: expected a divisor of width = ${decoder.width}, found ${decoder.heads}`);
  }
  return wrong;
}

/** Writes a checkpoint folder, each file under a temporary name first. */
export function saveCheckpoint(
  dir: string,
  { config, florence, decoder }: Omit<Checkpoint, "tokenizer">,
  tokenizer: TokenizerJson,
): void {
  makeFolder(dir);
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of florence.namedTensors()) tensors.set(ENCODER + name, toHost(tensor));
  for (const [name, tensor] of decoder.namedTensors()) tensors.set(name, toHost(tensor));
  writeSafetensors(join(dir, FILES.weights), tensors);
  writeFileAtomic(join(dir, FILES.tokenizer), `${JSON.stringify(tokenizer)}\n`);
  writeFileAtomic(join(dir, FILES.config), `${JSON.stringify(config, null, 2)}\n`);
}
