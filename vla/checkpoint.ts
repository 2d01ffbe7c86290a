import {
  countElements,
  FormatError,
  type HostTensor,
  type LazyTensor,
  lazyTensors,
  makeFolder,
  openSafetensors,
  printable,
  type WeightFormat,
  withScales,
  writeFileAtomic,
  writeSafetensors,
  writeSafetensorsInTurns,
} from "../core/index.ts";
import { Permutation } from "../flows/index.ts";
import { buildWithin } from "../nn/index.ts";
import { checkFields, type Rule, real, whole } from "./check-config.ts";
import type { Decoder } from "./decoder.ts";
import { type DecoderConfig, decoderKind, decoderKindNames, makeDecoder } from "./decoders.ts";
import { digestOf } from "./file-digest.ts";
import { checkFlorenceConfig, type FlorenceConfig } from "./florence2/config.ts";
import type { Florence2 } from "./florence2/model.ts";
import { loadTokenizer, type Tokenizer, type TokenizerJson } from "./florence2/tokenizer.ts";
import { loadFlorence2 } from "./florence2/weights.ts";
import { checkRoom, PERCEPTION_RULES, type PerceptionConfig } from "./perception.ts";
import { exists, join, openFile, readText, sha256 } from "./platform/node.ts";

/** How a policy turns its decoder's samples into what is executed. */
export interface SamplingConfig {
  /** Scales the noise z that a sample is made of: 1 samples the model, below it sampling stays nearer to the mode. */
  readonly temperature: number;
  /** Actions of each chunk that are handed out, the first ones: then the policy looks again. */
  readonly actionsPerQuery: number;
}

/** `config.json` of a checkpoint folder. */
export interface PolicyConfig {
  readonly florence: FlorenceConfig;
  readonly decoder: DecoderConfig;
  readonly perception: PerceptionConfig;
  readonly sampling: SamplingConfig;
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

/**
 * Reads a checkpoint folder: `config.json`, `tokenizer.json`, and `model.safetensors` with the encoder under `vlm.` and
 * the decoder under the reference's names (`cond_proj.*`, `nf.*`). Matrices may be int8 with scales beside them, as
 * `exportEncoder` writes them. Throws one error that names the folder, and lists all that is wrong with the
 * configuration or the tokenizer, or every tensor that is missing, misshapen or left over.
 * What is built holds at most twice the numbers of the file and a few more, and no memory is kept after an error.
 *
 * @param format what the encoder's weights are sealed as, for inference alone; null for one that can be trained
 */
export function loadCheckpoint(dir: string, format: WeightFormat | null = null): Checkpoint {
  requireFiles(dir);
  const config = readConfig(join(dir, FILES.config));
  using file = openSafetensors(openFile(join(dir, FILES.weights)));
  const stored = lazyTensors(file);
  let numbers = 0;
  for (const { shape } of stored.values()) numbers += countElements(shape) as number;
  // Room for what a file lacks, so that the error can list it; not for the sizes that a wrong configuration may name.
  const most = 2 * numbers + 2 ** 20;
  try {
    const tokenizer = loadTokenizer(join(dir, FILES.tokenizer));
    const weights = withScales(stored, FILES.weights);
    return buildWithin(most, () => {
      const florence = loadFlorence2(config.florence, weights, ENCODER, format);
      const own = new Map([...weights].filter(([name]) => !name.startsWith(ENCODER)));
      const decoder = makeDecoder(config.decoder);
      decoder.load(own);
      for (const module of decoder.modules())
        if (module instanceof Permutation) module.check(`${FILES.weights}, a permutation`);
      if (tokenizer.size > florence.config.vocab_size) {
        throw new Error(
          `${FILES.tokenizer}: expected at most ${florence.config.vocab_size} ids, one for each row of the token table, ` +
            `found ${tokenizer.size}`,
        );
      }
      const [wrong] = checkRoom(florence.config, config.perception);
      if (wrong !== undefined) throw new Error(`${FILES.config}: ${wrong}`);
      return { config, florence, decoder, tokenizer };
    });
  } catch (cause) {
    throw new Error(`checkpoint ${dir}: ${(cause as Error).message}`, { cause });
  }
}

/** What a checkpoint folder's `config.json` says. @throws Error for a folder that lacks a file. */
export function checkpointConfig(dir: string): PolicyConfig {
  requireFiles(dir);
  return readConfig(join(dir, FILES.config));
}

/** SHA-256 over the files of a checkpoint folder: the same for policies that act the same. */
export function checkpointDigest(dir: string): string {
  const digest = sha256();
  for (const file of Object.values(FILES)) digest.update(digestOf(join(dir, file)).bytes());
  return digest.hex();
}

function requireFiles(dir: string): void {
  for (const file of Object.values(FILES)) {
    if (!exists(join(dir, file))) {
      throw new Error(`checkpoint ${dir}: expected ${Object.values(FILES).join(", ")}, found no ${file}`);
    }
  }
}

/** Bytes of a `config.json`. */
const MAX_CONFIG = 2 ** 20;

const SAMPLING_RULES: Readonly<Record<keyof SamplingConfig, Rule>> = {
  temperature: real(0, 10),
  actionsPerQuery: whole(1, 1000),
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
  const { florence, decoder, perception, sampling, untrained } = config ?? {};
  if (!florence || !decoder || !perception || !sampling || typeof untrained !== "boolean") {
    const found = Object.keys(config ?? {}).join(", ");
    throw new FormatError(
      path,
      "florence, decoder, perception, sampling and untrained",
      found === "" ? "none" : printable(found, 500),
    );
  }
  if (!decoderKind(decoder.kind)) {
    const kinds = decoderKindNames().join(", ");
    throw new FormatError(path, `a decoder of kind ${kinds}`, JSON.stringify(decoder.kind) ?? "none");
  }
  const wrong = [
    ...checkFlorenceConfig(florence),
    ...checkDecoder(decoder, florence),
    ...checkFields("perception", perception, PERCEPTION_RULES),
    ...checkSampling(sampling, decoder),
  ];
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong.join("; "), 1500)}`);
  return { florence, decoder, perception, sampling, untrained };
}

/** What is wrong with a decoder's sizes, alone and beside the encoder's: one line each. */
export function checkDecoder(decoder: DecoderConfig, { d_model }: FlorenceConfig): string[] {
  const { rules, faults } = decoderKind(decoder.kind)!;
  const wrong = checkFields("decoder", decoder, rules);
  if (wrong.length > 0) return wrong;
  if (decoder.features !== d_model)
    wrong.push(`decoder.features: expected florence.d_model = ${d_model}, found ${decoder.features}`);
  return [...wrong, ...faults(decoder)];
}

function checkSampling(sampling: SamplingConfig, { steps }: DecoderConfig): string[] {
  const wrong = checkFields("sampling", sampling, SAMPLING_RULES);
  if (wrong.length === 0 && sampling.actionsPerQuery > steps)
    wrong.push(
      `sampling.actionsPerQuery: expected at most decoder.steps = ${steps}, found ${sampling.actionsPerQuery}`,
    );
  return wrong;
}

/** Writes a checkpoint folder, each file under a temporary name first. The weights may lie on any device. */
export async function saveCheckpoint(
  dir: string,
  { config, florence, decoder }: Omit<Checkpoint, "tokenizer">,
  tokenizer: TokenizerJson,
): Promise<void> {
  makeFolder(dir);
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of await florence.readStateDict()) tensors.set(ENCODER + name, tensor);
  for (const [name, tensor] of await decoder.readStateDict()) tensors.set(name, tensor);
  writeSafetensors(join(dir, FILES.weights), tensors);
  writeFileAtomic(join(dir, FILES.tokenizer), `${JSON.stringify(tokenizer)}\n`);
  writeFileAtomic(join(dir, FILES.config), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Writes the same folder from tensors that are read when their turn comes: those of the encoder under the names of
 * `Florence2`, those of the decoder under its own.
 */
export async function writeCheckpoint(
  dir: string,
  config: PolicyConfig,
  weights: Readonly<Record<"encoder" | "decoder", ReadonlyMap<string, LazyTensor>>>,
  tokenizer: TokenizerJson,
): Promise<void> {
  makeFolder(dir);
  const tensors = new Map(weights.decoder);
  for (const [name, tensor] of weights.encoder) tensors.set(ENCODER + name, tensor);
  await writeSafetensorsInTurns(join(dir, FILES.weights), tensors);
  writeFileAtomic(join(dir, FILES.tokenizer), `${JSON.stringify(tokenizer)}\n`);
  writeFileAtomic(join(dir, FILES.config), `${JSON.stringify(config, null, 2)}\n`);
}
