import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import {
  FormatError,
  floatPieces,
  fromPieces,
  type LazyTensor,
  openTensors,
  printable,
  readText,
  withScales,
} from "../../core/index.ts";
import { outline } from "../../nn/index.ts";
import { checkFields } from "../check-config.ts";
import { PERCEPTION_RULES, type PerceptionConfig, publishedPerception } from "../perception.ts";
import { checkFlorenceConfig, type FlorenceConfig } from "./config.ts";
import { parsePublishedConfig, readConfigFile } from "./config-file.ts";
import { Florence2 } from "./model.ts";
import { encoderTensors, PROMPT, TABLE } from "./names.ts";
import { FLOW, loadTokenizer, MAX_FILE, type Tokenizer, type TokenizerJson } from "./tokenizer.ts";
import { sizedBy } from "./weights.ts";

/** An encoder in a folder, open: what it is in memory, its weights on disk. */
export interface PublishedEncoder extends Disposable {
  readonly folder: string;
  readonly config: FlorenceConfig;
  /** How it is shown pictures and words: as its `config.json` says, or as the published policies do. */
  readonly perception: PerceptionConfig;
  /** All tensors of a `Florence2` under its names, each read when asked for. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  readonly tokenizer: Tokenizer;
  /** The file that the tokenizer was read from. */
  readonly vocabulary: TokenizerJson;
}

/** Where weights are looked for, in this order. */
const WEIGHTS = ["model.safetensors", "pytorch_model.bin"].flatMap((file) => [file, `${file}.index.json`]);
/** The encoder's names in a checkpoint of ours. */
const OURS = "vlm.";

/**
 * Opens a folder with a Florence-2 encoder in it, whoever wrote it: `microsoft/Florence-2-base` or `-large` as
 * downloaded, in any revision; one that `transformers` saved; what `vla/florence2/export.ts` wrote; or a checkpoint of
 * ours, whose decoder is left alone. Nothing is read but names and shapes, which are checked: one error lists all
 * tensors that are missing, misshapen or left over.
 */
export function openFlorence2(folder: string): PublishedEncoder {
  const { prefix, ...described } = describeFolder(folder);
  const { tokenizer } = described;
  const weights = WEIGHTS.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (weights === undefined)
    throw new FormatError(folder, `weights of Florence-2, ${WEIGHTS.join(" or ")}`, "none of them");
  const file = openTensors(weights);
  try {
    const tensors = encoderTensors(withScales(file.tensors, weights), prefix, tokenizer.idOf(FLOW));
    addFlowRow(tensors, tokenizer);
    const config = sizedBy(tensors, described.config);
    outline(() => new Florence2(config)).checkFit(tensors);
    return { ...described, config, folder, tensors, [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (cause) {
    file[Symbol.dispose]();
    if (cause instanceof FormatError) throw cause;
    throw new Error(`${weights}: ${(cause as Error).message}`, { cause });
  }
}

/** All that such a folder says without its weights, which need not be there. `prefix` stands before their names. */
export function describeFolder(folder: string): Pick<
  PublishedEncoder,
  "config" | "perception" | "tokenizer" | "vocabulary"
> & {
  readonly prefix: string;
} {
  const [config, vocabulary] = ["config.json", "tokenizer.json"].map((name) => join(folder, name));
  for (const path of [config, vocabulary]) {
    if (existsSync(path)) continue;
    const found = existsSync(folder) ? `no ${basename(path)}` : "no such folder";
    throw new FormatError(folder, "config.json and tokenizer.json of Florence-2", found);
  }
  return {
    ...readConfig(config),
    tokenizer: loadTokenizer(vocabulary),
    vocabulary: JSON.parse(readText(vocabulary, MAX_FILE)),
  };
}

function readConfig(path: string): Pick<PublishedEncoder, "config" | "perception"> & { prefix: string } {
  const json = readConfigFile(path);
  const perception = json.perception ?? publishedPerception;
  const isOurs = Object.hasOwn(json, "florence");
  const wrong = [
    ...(isOurs ? checkFlorenceConfig(json.florence) : []),
    ...checkFields("perception", perception, PERCEPTION_RULES),
  ];
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong.join("; "), 1500)}`);
  return {
    config: isOurs ? (json.florence as FlorenceConfig) : parsePublishedConfig(json, path),
    perception: perception as PerceptionConfig,
    prefix: isOurs ? OURS : "",
  };
}

/**
 * The reference gives `<Flow>` a row behind those of the published table, which the task token is then copied from. A
 * table that is short of more rows than that belongs to another tokenizer.
 */
function addFlowRow(tensors: Map<string, LazyTensor>, tokenizer: Tokenizer): void {
  const [table, prompt] = [tensors.get(TABLE), tensors.get(PROMPT)];
  if (table?.shape.length !== 2 || !prompt) return; // the check that follows says so
  const [rows, width] = table.shape;
  if (tokenizer.size <= rows) return;
  if (tokenizer.size > rows + 1 || tokenizer.idOf(FLOW) !== rows)
    throw new Error(
      `expected a token table with a row for each of the ${tokenizer.size} ids of tokenizer.json, found ${rows}`,
    );
  const longer = fromPieces("F32", [rows + 1, width], function* (unit) {
    yield* floatPieces(TABLE, table, unit);
    yield* floatPieces(PROMPT, prompt);
  });
  tensors.set(TABLE, longer);
}
