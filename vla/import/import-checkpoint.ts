import { type LazyTensor, openTensors } from "../../core/index.ts";
import { outline } from "../../nn/index.ts";
import { checkDecoder, type PolicyConfig, writeCheckpoint } from "../checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../decoders.ts";
import { Florence2 } from "../florence2/model.ts";
import { encoderTensors } from "../florence2/names.ts";
import { describeFolder } from "../florence2/published.ts";
import { FLOW } from "../florence2/tokenizer.ts";
import { sizedBy } from "../florence2/weights.ts";
import { checkRoom } from "../perception.ts";
import { readDecoder, type Told, unsupported } from "./read-decoder.ts";

export interface Import {
  /** The training checkpoint. */
  readonly path: string;
  /** Folder of the Florence-2 that it was trained from. */
  readonly vlm: string;
  /** Folder to write. */
  readonly out: string;
  /** Trained weights or running averages; averages, where there are some, unless given. */
  readonly weights?: "model" | "ema";
  readonly told?: Told;
}

/**
 * Turns a training checkpoint, as the public code of NinA or FLOWER writes it, into a folder that `loadCheckpoint`
 * reads. Names, shapes and settings are checked before anything is written; then one piece of a tensor at a time is in
 * memory.
 *
 * @returns what was imported: the decoder, and whether its weights are averages
 * @throws Error that lists all tensors that are missing, misshapen or left over, and all settings that do not go with
 *   ours
 */
export async function importCheckpoint({ path, vlm, out, weights, told }: Import): Promise<{
  readonly decoder: DecoderConfig;
  readonly averaged: boolean;
}> {
  const base = describeFolder(vlm);
  using file = openTensors(path);
  const averaged = weights === undefined ? file.hasAverages : weights === "ema";
  const tensors = asPublished(averaged ? file.averages() : file.tensors);

  const encoder = encoderTensors(tensors, "vlm.", base.tokenizer.idOf(FLOW));
  const rest = new Map([...tensors].filter(([name]) => !name.startsWith("vlm.")));
  const decoder = readDecoder(path, rest, file.settings, told);
  const chunk = file.settings.get("multistep");
  const config: PolicyConfig = {
    florence: sizedBy(encoder, base.config),
    decoder,
    perception: base.perception,
    sampling: { temperature: 1, actionsPerQuery: typeof chunk === "number" ? chunk : decoder.steps },
    untrained: false,
  };
  const wrong = [
    ...unsupported(file.settings),
    ...checkPolicy(config),
    ...checkVocabulary(base.tokenizer.size, config.florence.vocab_size),
  ];
  if (wrong.length === 0) {
    // Sizes that are wrong make no decoder to compare with.
    wrong.push(
      ...complaint(() => outline(() => new Florence2(config.florence)).checkFit(encoder)),
      ...complaint(() => outline(() => makeDecoder(decoder)).checkFit(rest)),
    );
  }
  if (wrong.length > 0) throw new Error(`${path}: ${wrong.join("; ")}`);
  await writeCheckpoint(out, config, { encoder, decoder: rest }, base.vocabulary);
  return { decoder, averaged };
}

/** Pretrained FLOWER puts `agent.` before the names that its code loads. */
const asPublished = (tensors: ReadonlyMap<string, LazyTensor>): Map<string, LazyTensor> =>
  new Map([...tensors].map(([name, tensor]) => [name.replace(/^agent\./, ""), tensor]));

const checkPolicy = ({ decoder, florence, perception, sampling }: PolicyConfig): string[] => [
  ...checkDecoder(decoder, florence),
  ...checkRoom(florence, perception),
  ...(sampling.actionsPerQuery > decoder.steps
    ? [`multistep: expected at most ${decoder.steps} actions of a chunk, found ${sampling.actionsPerQuery}`]
    : []),
];

const checkVocabulary = (ids: number, rows: number): string[] =>
  ids <= rows
    ? []
    : [`tokenizer.json: expected at most ${rows} ids, one for each row of the table, found ${ids}`];

/** What `body` throws, as a list. */
function complaint(body: () => void): string[] {
  try {
    body();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
