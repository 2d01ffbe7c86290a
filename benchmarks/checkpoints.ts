/**
 * How long do the decoders of checkpoints take from features to a chunk of actions?
 *
 *     npx tsx benchmarks/checkpoints.ts FOLDER...           a table
 *     npx tsx benchmarks/checkpoints.ts FOLDER... --json    one object per line: {bench, case, who, threads, dtype, min_ms, …}
 *
 * Batch 1, made for inference with float32 weights, captured in a plan, on one thread, as vla/eval.ts plays them: what
 * the decoder makes of the encoder's features once per observation (`condition`), then one sample. All run in turns in
 * one process, so that each meets the same disturbances. The features are those that the checkpoint's own encoder has
 * of empty pictures: their number of tokens matters to some decoders, their values to none.
 */
import { parseCli, runMain, UsageError } from "../cli/index.ts";
import { noGrad, Plan, Random, Tensor, tidy } from "../core/index.ts";
import { loadCheckpoint } from "../vla/checkpoint.ts";
import { Perception } from "../vla/perception.ts";
import { type Contender, interleaved, machine } from "./measure.ts";

/** What the policies are told. */
const INSTRUCTION = "put the red block on the plate";

/** A decoder ready to be timed. */
interface Subject {
  readonly folder: string;
  readonly kind: string;
  /** Numbers that training changes. */
  readonly parameters: number;
  /** Tokens of the features. */
  readonly tokens: number;
  decode(): void;
}

await runMain(async () => {
  const { positionals, rounds, json } = parseCli(
    {
      usage: "npx tsx benchmarks/checkpoints.ts FOLDER... [options]",
      description: "Times the decoders of checkpoints from features to a chunk of actions, side by side.",
      positionals: { "FOLDER...": "checkpoint folders" },
      options: {
        rounds: { type: "integer", least: 1, default: 15, help: "how often each has its turn" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const folders = positionals.FOLDER;
  if (folders.length === 0) throw new UsageError("missing FOLDER (see --help)");
  const subjects = folders.map(open);
  const contenders = subjects.map(
    ({ folder, decode }): Contender => ({ who: folder, threads: 1, dtype: "float32", run: decode }),
  );
  const times = await interleaved("checkpoints", "features to actions, batch 1", contenders, { rounds });
  const rows = times.map((time, i) => {
    const { kind, parameters, tokens } = subjects[i];
    return { ...time, kind, parameters, tokens };
  });
  if (json) {
    for (const row of rows) console.log(JSON.stringify(row));
    return;
  }
  console.log(`${machine()}\n`);
  const heads = ["parameters", "tokens", "min ms", "median ms"];
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(Math.max(...folders.map(({ length }) => length)) + 2) +
    cells.map((cell) => cell.padStart(12)).join("");
  console.log(line("", heads));
  for (const { who, parameters, tokens, min_ms, median_ms } of rows)
    console.log(line(who, [`${parameters}`, `${tokens}`, min_ms.toFixed(3), median_ms.toFixed(3)]));
});

function open(folder: string): Subject {
  const { florence, tokenizer, decoder, config } = loadCheckpoint(folder);
  const perception = new Perception(florence, tokenizer, config.perception);
  const { imageSize: S } = config.perception;
  const ids = perception.tokens(INSTRUCTION);
  const features = tidy(() =>
    noGrad(() => {
      const picture = Tensor.zeros([1, 3, S, S]);
      return perception.features(picture, picture, Tensor.from(ids, [1, ids.length], "int32"));
    }),
  );
  const { steps, actionWidth } = decoder.config;
  const z = new Random(1).normals([1, steps, actionWidth]);
  const sampler = decoder.forInference?.({ weights: "float32" }) ?? decoder;
  const plan = new Plan((seen, noise) => sampler.sample(noise, sampler.condition(seen)), [features, z]);
  return {
    folder,
    kind: config.decoder.kind,
    tokens: features.shape[1],
    parameters: decoder.namedParameters().reduce((sum, [, { size }]) => sum + size, 0),
    decode: () => void plan.run(features, z),
  };
}
