/** Teaches a small encoder what is where: `npx tsx vla/pretrain.ts --help`. */
import { basename } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { Cache, Random, setThreads } from "../core/index.ts";
import { triStage } from "../nn/index.ts";
import { ExampleSet } from "./data/example-set.ts";
import { INTERRUPTED } from "./eval/interrupt.ts";
import { trainBpe } from "./florence2/bpe-train.ts";
import { Tokenizer } from "./florence2/tokenizer.ts";
import { groupByScene } from "./libero/scene-mates.ts";
import { loadSuite } from "./libero/suites.ts";
import { Perception, type PerceptionConfig } from "./perception.ts";
import { writeEncoder } from "./pretrain/encoder-folder.ts";
import { evaluate } from "./pretrain/evaluate.ts";
import type { FeedSettings, Source } from "./pretrain/feed.ts";
import { GroundedEncoder, mapTokens, miniEncoder } from "./pretrain/grounded-encoder.ts";
import { LabelledSet } from "./pretrain/labelled-set.ts";
import { GroundingLearner } from "./pretrain/learner.ts";
import { MINI, miniRoots } from "./suites/mini/roots.ts";
import { train } from "./train/run.ts";

const schema = {
  usage: "npx tsx vla/pretrain.ts --data DIR --scenes DIR --out DIR [options]",
  description:
    "Trains the embedded policy's encoder from nothing on what is where: where in both pictures, and where in the world, are\n" +
    "the object that the words name, its destination and the fingertips; and on what the expert does. Demonstrations come\n" +
    "from vla/collect.ts, random scenes from vla/collect.ts --random. The same command goes on where it was stopped or\n" +
    "killed. Every twentieth episode is held out and measured. vla/train.ts --encoder takes the folder that is written.\n" +
    "One core learns from 95 examples a second: the default takes half an hour, after a minute or two of labelling.",
  options: {
    data: { type: "string", help: "folder of demonstrations of the embedded suite, folders in it too" },
    scenes: { type: "string", help: "folder of its random scenes" },
    out: { type: "string", help: "folder of the run" },
    steps: { type: "integer", least: 1, default: 5000, help: "updates" },
    batch: { type: "integer", least: 2, default: 32, help: "examples per update" },
    share: { type: "number", default: 0.375, help: "of random scenes in a batch" },
    "learning-rate": { type: "number", default: 0.0015, help: "the highest" },
    "evaluate-every": { type: "integer", least: 1, default: 500, help: "updates between two evaluations" },
    threads: { type: "integer", least: 1, default: 1, help: "that compute; two more read data" },
    seed: { type: "integer", least: 0, default: 0, help: "of everything drawn" },
    "save-minutes": { type: "number", default: 2, help: "between saves" },
    minutes: { type: "number", help: "after which this process saves and ends" },
  },
} as const satisfies CliSchema;

/** Actions per chunk. */
const HORIZON = 10;
const VOCABULARY = 400;
/** Updates until the highest learning rate, and the share of all updates after which it falls. */
const WARMUP = 200;
const CONSTANT = 0.5;
const AUGMENTATION = { pads: { agentview: 4, wrist: 3 }, gain: [0.85, 1.15] } as const;
/** Updates per line of metrics. */
const METRICS_EVERY = 50;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  const { data, scenes, out, steps, batch, share, seed, "learning-rate": peak } = args;
  if (data === undefined) throw new UsageError("expected --data, a folder of demonstrations");
  if (scenes === undefined) throw new UsageError("expected --scenes, a folder of random scenes");
  if (out === undefined) throw new UsageError("expected --out, the folder of the run");
  const random = Math.round(share * batch);
  if (!(random > 0 && random < batch))
    throw new UsageError(`--share: expected room for both kinds of examples among ${batch}, got ${share}`);
  await setThreads(args.threads);

  const { tasks } = loadSuite(miniRoots.libero, MINI);
  const groups = groupByScene(miniRoots, tasks);
  const common = { pairing: "causal", horizon: HORIZON } as const;
  using acted = await ExampleSet.open({ ...common, path: data, split: "training" });
  using drawn = await ExampleSet.open({ ...common, path: scenes, split: "training" });
  using actedHeldOut = await ExampleSet.open({ ...common, path: data, split: "held out" });
  using drawnHeldOut = await ExampleSet.open({ ...common, path: scenes, split: "held out" });
  const label = (set: ExampleSet): Promise<LabelledSet> => LabelledSet.open(set, groups, new Cache());
  const demonstrations = await label(acted);
  const sources: Source[] = [
    { examples: demonstrations, size: batch - random, acts: true },
    { examples: await label(drawn), size: random, acts: false },
  ];
  const heldOut = { demonstrations: await label(actedHeldOut), scenes: await label(drawnHeldOut) };

  const imageSize = acted.cameraSize;
  const instructions = tasks.map(({ instruction }) => instruction);
  const vocabulary = trainBpe(instructions, { size: VOCABULARY });
  const tokenizer = new Tokenizer(vocabulary);
  const perception: PerceptionConfig = {
    imageSize,
    prompt: "instruction",
    promptLength: Math.max(...instructions.map((instruction) => tokenizer.encode(instruction).length)),
    cameraSize: imageSize,
  };
  const florence = { ...miniEncoder, vocab_size: tokenizer.size };
  const tokens = mapTokens(florence, imageSize);
  const heads = { features: florence.d_model, tokens, steps: HORIZON, actionWidth: 7 };
  const model = new GroundedEncoder(florence, heads).init(new Random(seed));
  model.heads.middle.write(demonstrations.meanPositions());

  const words = new Perception(model.vlm, tokenizer, perception);
  const settings: FeedSettings = {
    seed,
    imageSize,
    augmentation: AUGMENTATION,
    mapSide: Math.sqrt(tokens),
    tokens: (instruction) => words.tokens(instruction),
  };
  using learner = new GroundingLearner(model, sources, settings);
  const warmup = Math.min(WARMUP, Math.floor(steps / 4)) / steps;
  let measured: Readonly<Record<string, number>> = {};
  const ending = await train({
    folder: out,
    config: {
      florence,
      perception,
      heads,
      steps,
      batch,
      learningRate: peak,
      augmentation: AUGMENTATION,
      seed,
      evaluateEvery: args["evaluate-every"],
      sources: sources.map(({ examples: { set }, size }) => ({
        files: set.files.map((file) => basename(file)),
        examples: set.count,
        perBatch: size,
      })),
    },
    module: learner.module,
    optimizer: learner.optimizer,
    ema: learner.ema,
    randoms: learner.randoms,
    steps,
    samplesPerStep: batch,
    schedule: triStage({
      peak,
      totalSteps: steps,
      startFactor: 0,
      endFactor: 0,
      phases: [warmup, CONSTANT - warmup, 1 - CONSTANT],
    }),
    update: (step, lr) => learner.update(step, lr),
    async evaluate(_, interrupted) {
      const found = await evaluate(model.eval(), heldOut, settings, interrupted);
      model.train();
      if (found) measured = found.values;
      return found;
    },
    write: (folder) => writeEncoder(folder, model, { florence, perception, heads }, vocabulary),
    every: { metrics: METRICS_EVERY, evaluation: args["evaluate-every"], save: args["save-minutes"] },
    minutes: args.minutes,
  });
  const width = Math.max(...Object.keys(measured).map((name) => name.length));
  for (const [name, value] of Object.entries(measured))
    console.log(`${name.padEnd(width)}  ${value.toFixed(3)}`);
  console.log(`${out}: ${ending}`);
  if (ending === "interrupted") process.exitCode = INTERRUPTED;
});
