/** Trains a policy on demonstrations: `npx tsx vla/train.ts --help`. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { callOf, runMain, UsageError } from "../cli/index.ts";
import { cpu, type Device, openDevice, Random, setThreads } from "../core/index.ts";
import { freeze, type TriStage, triStage } from "../nn/index.ts";
import { type Checkpoint, checkDecoder, type PolicyConfig, saveCheckpoint } from "./checkpoint.ts";
import { ExampleSet } from "./data/example-set.ts";
import { FeatureCache } from "./data/feature-cache.ts";
import { weightsChecksum } from "./data/weights-checksum.ts";
import type { Decoder } from "./decoder.ts";
import { type DecoderConfig, makeDecoder } from "./decoders.ts";
import { INTERRUPTED } from "./eval/interrupt.ts";
import { NinaModel } from "./policies/nina-model.ts";
import { CachedEncoder } from "./train/cached-encoder.ts";
import { type Encoder, loadEncoder } from "./train/encoder.ts";
import { FeatureFeed, PictureFeed } from "./train/feed.ts";
import { heldOutLoss } from "./train/held-out.ts";
import { Learner, Parts } from "./train/learner.ts";
import { type Options, readOptions } from "./train/options.ts";
import { decoderConfig, type Optimisation } from "./train/recipes.ts";
import { playSuite } from "./train/rollouts.ts";
import { type Evaluation, train } from "./train/run.ts";

/** Updates per line of metrics. */
const METRICS_EVERY = 50;

/** Draws how the copies for a frozen encoder are changed: they are data, of which runs of all seeds share one file. */
const COPIES_SEED = 0;

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { optimisation, accumulate, seed } = options;
  setThreads(options.threads);
  const device = await openDevice(options.device);
  const encoder = loadEncoder(options.encoder);
  const sizes = decoderOf(options, encoder);
  const { florence, tokenizer } = encoder.perception;
  const decoder = makeDecoder(sizes).init(new Random(seed));
  const parts = partsOf(decoder, encoder, options);
  const common = { path: options.data, pairing: options.pairing, horizon: sizes.steps };
  using set = await ExampleSet.open({ ...common, ...(options.holdOut && { split: "training" }) });
  using heldOut = options.holdOut ? await ExampleSet.open({ ...common, split: "held out" }) : null;

  florence.checkpoint(options.checkpointing);
  const identity = identityOf(options, set, encoder, device); // of the weights as they come
  const config: PolicyConfig = {
    florence: florence.config,
    decoder: sizes,
    perception: { ...encoder.perception.config, cameraSize: set.cameraSize },
    sampling: options.sampling,
    untrained: false,
  };
  const checkpoint: Checkpoint = { config, florence, decoder, tokenizer };
  const batches = {
    seed,
    size: optimisation.batch / accumulate,
    imageSize: config.perception.imageSize,
    augmentation: options.recipe.augmentation,
  };
  // The mean of the tokens is all that NinA's decoders see of them.
  const isPooled = options.decoder !== "flower";
  using cached = options.frozen ? new CachedEncoder(encoder.perception, set, isPooled) : null;
  const feed = cached
    ? new FeatureFeed(() => openFeatures(options, set, cached), set, batches, cached.shape)
    : new PictureFeed(set, batches, encoder.perception);
  decoder.to(device);
  if (!options.frozen) florence.to(device);
  using learner = new Learner(parts, feed, options);

  const { roots, episodes } = options;
  const evaluate = (step: number, interrupted: () => boolean): Promise<Evaluation | null> =>
    whileEvaluating(learner, async () => {
      florence.to(device); // a frozen one has made its features by now
      const values: Record<string, number> = {};
      if (heldOut) values["loss/heldOut"] = await heldOutLoss(decoder, encoder.perception, heldOut);
      if (!roots) return { score: -values["loss/heldOut"], values };
      const settings = { ...roots, suite: options.suite, episodes, seed, cameraSize: set.cameraSize };
      using model = new NinaModel(`step ${step}`, checkpoint);
      const shares = await playSuite(model.policy(), settings, interrupted);
      return shares && withRollouts(step, shares, values);
    });
  const ending = await train({
    folder: options.out,
    config: { ...identity, checkpoint: config },
    module: learner.module,
    optimizer: learner.optimizer,
    ema: learner.ema,
    randoms: learner.randoms,
    steps: optimisation.steps,
    samplesPerStep: optimisation.batch,
    schedule: triStage(scheduleOf(optimisation)),
    prepare: (step) => learner.prepare(step),
    update: (_, lr) => learner.update(lr),
    ...((roots || heldOut) && { evaluate }),
    write: (folder) => saveCheckpoint(folder, checkpoint, encoder.tokenizer),
    every: { metrics: METRICS_EVERY, evaluation: options.evaluateEvery, save: options.saveMinutes },
    minutes: options.minutes,
  });
  const hint = `${callOf("vla/eval.ts")} --checkpoint ${join(options.out, roots || heldOut ? "best" : "last")}`;
  console.log(ending === "done" ? `${options.out}: done; ${hint} plays it` : `${options.out}: ${ending}`);
  if (ending === "interrupted") process.exitCode = INTERRUPTED;
});

/** The decoder that was asked for, on this encoder's features. @throws UsageError for sizes that do not go together. */
function decoderOf({ decoder, preset, changes }: Options, { perception }: Encoder): DecoderConfig {
  const { config } = perception.florence;
  const sizes = decoderConfig(decoder, preset, config.d_model, changes);
  const wrong = checkDecoder(sizes, config);
  if (wrong.length > 0) throw new UsageError(wrong.join("; "));
  return sizes;
}

/**
 * What is trained, with what `--freeze` names marked. @throws UsageError for a pattern that names nothing, or
 * everything.
 */
function partsOf(decoder: Decoder, { perception }: Encoder, { frozen, frozenNames }: Options): Parts {
  const parts = new Parts(decoder, frozen ? null : perception.florence);
  try {
    freeze(parts, frozenNames);
  } catch (cause) {
    throw new UsageError(`--${(cause as Error).message}`, { cause });
  }
  if (parts.parameters().length === 0)
    throw new UsageError("--freeze: expected a parameter that is left to train, found none");
  return parts;
}

function scheduleOf({ steps, peak, warmup, hold, startFactor, endFactor }: Optimisation): TriStage {
  const rise = warmup / steps;
  return {
    peak,
    totalSteps: steps,
    startFactor,
    endFactor,
    phases: [rise, Math.min(hold, 1 - rise), Math.max(0, 1 - rise - hold)],
  };
}

/** The features of a frozen encoder, in a file beside the demonstrations unless another is named. */
function openFeatures(
  { features, copies, recipe: { augmentation }, pairing, holdOut }: Options,
  set: ExampleSet,
  encoder: CachedEncoder,
): Promise<FeatureCache> {
  const settings = { copies, augmentation, seed: COPIES_SEED, type: encoder.type };
  const name = createHash("sha256").update(JSON.stringify([encoder.id, settings, pairing, holdOut]));
  const beside = join(dirname(set.files[0]), `features-${name.digest("hex").slice(0, 16)}.safetensors`);
  return FeatureCache.open(features ?? beside, set, encoder, settings);
}

/** What the run follows from beside the policy's configuration. The data's files are told by name and size. */
function identityOf(options: Options, set: ExampleSet, encoder: Encoder, device: Device): object {
  const { suite, pairing, frozen, copies, optimisation, accumulate, clip, seed, recipe, roots, episodes } =
    options;
  const { frozenNames } = options;
  return {
    data: {
      files: set.files.map((file) => `${basename(file)}, ${statSync(file).size} bytes`),
      pairing,
      examples: set.count,
    },
    encoder: { weights: weightsChecksum(encoder.perception.florence), frozen, ...(frozen && { copies }) },
    ...(frozenNames.length > 0 && { freeze: frozenNames }),
    optimisation: { ...optimisation, accumulate, clip: clip ?? null, augmentation: recipe.augmentation },
    evaluation: {
      every: options.evaluateEvery,
      heldOut: options.holdOut,
      rollouts: roots && { suite, episodes },
    },
    metricsEvery: METRICS_EVERY,
    ...(device !== cpu && { device: device.name }), // last digits differ
    seed,
  };
}

/** Runs `body` with dropout off. */
async function whileEvaluating<T>({ module }: Learner, body: () => Promise<T>): Promise<T> {
  module.eval();
  try {
    return await body();
  } finally {
    module.train();
  }
}

/** Adds what rollouts are worth, printed as well: the mean over tasks, which is the score, then each task. */
function withRollouts(
  step: number,
  shares: ReadonlyMap<string, number>,
  others: Evaluation["values"],
): Evaluation {
  const score = [...shares.values()].reduce((sum, share) => sum + share, 0) / shares.size;
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const list = [...shares].map(([task, share]) => `${task} ${percent(share)}`);
  console.log(`step ${step}: success ${percent(score)} (${list.join(", ")})`);
  const perTask = [...shares].map(([task, share]) => [`successByTask/${task}`, share] as const);
  return { score, values: { ...others, success: score, ...Object.fromEntries(perTask) } };
}
