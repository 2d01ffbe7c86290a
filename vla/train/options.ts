import { join } from "node:path";
import { type CliSchema, parseCli, UsageError, type Values } from "../../cli/index.ts";
import { DEVICE_NAMES } from "../../core/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { Pairing } from "../data/example-set.ts";
import { MINI, miniRoots } from "../suites/mini/roots.ts";
import {
  type DecoderName,
  decoderNames,
  type Optimisation,
  presetNames,
  type Recipe,
  recipes,
  samplingOf,
} from "./recipes.ts";

const schema = {
  usage: "npx tsx vla/train.ts --data DIR --encoder DIR --out DIR [options]",
  description:
    "Trains a decoder, with or without its encoder, on demonstrations. The same command goes on where it was stopped or\n" +
    "killed, to the same weights. Writes into --out: config.json, metrics.jsonl, curves.png, events for TensorBoard, and the\n" +
    "checkpoints last/ and best/, which vla/eval.ts --checkpoint plays.",
  options: {
    data: {
      type: "string",
      help: "folder of demonstrations, as vla/collect.ts writes it, folders in it too",
    },
    "libero-data": {
      type: "string",
      help: "instead: folder of LIBERO's own, with a folder per suite",
    },
    suite: { type: "string", default: MINI, help: "for rollouts, and the folder in --libero-data" },
    encoder: {
      type: "string",
      help: "a checkpoint folder, that of a run of vla/pretrain.ts, or Florence-2 as published or exported",
    },
    out: { type: "string", help: "folder of the run" },
    decoder: { type: "string", default: "nina-mlp", choices: decoderNames, help: "what is trained" },
    frozen: { type: "boolean", help: "leaves the encoder as it is and keeps its features on disk" },
    freeze: {
      type: "string",
      help: 'names of parameters that stay as they are, with * for any characters: "vlm.vision_tower.*,*.bias"',
    },
    features: {
      type: "string",
      help: "with --frozen: the file for them; otherwise one beside the demonstrations",
    },
    recipe: {
      type: "string",
      default: "mini",
      choices: Object.keys(recipes) as (keyof typeof recipes)[],
      help: "where flags that are not given come from: ours for two cores, or NinA's published one",
    },
    preset: { type: "string", help: "size of the decoder: mini, paper, …; otherwise named as the recipe" },
    blocks: { type: "integer", least: 1, help: "of the flow; layers of FLOWER" },
    width: { type: "integer", least: 1, help: "of the decoder's networks" },
    depth: { type: "integer", least: 0, help: "pairs of attentions per block" },
    heads: { type: "integer", least: 1, help: "of each attention" },
    condition: { type: "integer", least: 1, help: "width of what the flow sees of the features" },
    noise: { type: "number", help: "deviation of the noise added to actions" },
    "token-dropout": { type: "number", help: "share of the features that is zeroed" },
    dropout: { type: "number", help: "within the decoder's networks" },
    "no-plu": { type: "boolean", help: "leaves the invertible matrices out" },
    "time-sampling": {
      type: "string",
      choices: ["stratified", "ln"],
      help: "how FLOWER draws times",
    },
    pairing: {
      type: "string",
      choices: ["causal", "stored"],
      help: "actions with what was seen before the first of them (default), or after it, as LIBERO's files store them",
    },
    steps: { type: "integer", least: 1, help: "updates" },
    batch: { type: "integer", least: 1, help: "examples per update" },
    accumulate: { type: "integer", least: 1, default: 1, help: "parts that a batch is computed in" },
    "learning-rate": { type: "number", help: "the highest" },
    warmup: { type: "integer", least: 0, help: "updates until it is reached" },
    "weight-decay": { type: "number", help: "of AdamW" },
    clip: { type: "number", help: "largest norm of the gradient; otherwise it is not limited" },
    copies: {
      type: "integer",
      least: 1,
      default: 2,
      help: "with --frozen: how often pictures are encoded, once as they are, then changed at random",
    },
    checkpointing: {
      type: "boolean",
      help: "trains the encoder in less memory, a third slower and to the same weights: computes parts of it twice",
    },
    seed: { type: "integer", least: 0, default: 0, help: "of everything drawn but the copies" },
    temperature: { type: "number", help: "written into the checkpoint" },
    "actions-per-query": { type: "integer", least: 1, help: "written into the checkpoint" },
    "hold-out": {
      type: "boolean",
      help: "trains on all but every twentieth episode, whose loss is measured",
    },
    "evaluate-every": {
      type: "integer",
      least: 1,
      help: "updates between rollouts and measurements; otherwise at the end alone",
    },
    episodes: { type: "integer", least: 0, default: 2, help: "of each task, played then; 0 for none" },
    libero: { type: "string", help: "folder of a LIBERO clone, for suites that are not embedded" },
    robosuite: { type: "string", help: "folder of a robosuite clone, likewise" },
    device: {
      type: "string",
      default: "cpu",
      choices: DEVICE_NAMES,
      help: "what computes; --frozen encodes on cpu. npx tsx core/devices.ts lists what this machine offers",
    },
    threads: {
      type: "integer",
      least: 1,
      default: 1,
      help: "that compute; pictures are made ready in one more",
    },
    "save-minutes": { type: "number", default: 2, help: "between saves" },
    minutes: { type: "number", help: "after which this process saves and ends" },
  },
} as const satisfies CliSchema;

/** What a run was asked for, checked. */
export interface Options {
  readonly data: string;
  readonly pairing: Pairing;
  readonly suite: string;
  /** Folders laid out like clones of LIBERO and robosuite; null where no rollouts are to be played. */
  readonly roots: { readonly libero: string; readonly robosuite: string } | null;
  readonly encoder: string;
  readonly out: string;
  readonly frozen: boolean;
  /** Patterns of names of parameters that stay as they are. */
  readonly frozenNames: readonly string[];
  /** The file of the frozen encoder's features; null for one beside the demonstrations. */
  readonly features: string | null;
  readonly recipe: Recipe;
  readonly optimisation: Optimisation;
  readonly clip: number | undefined;
  readonly accumulate: number;
  /** Whether the encoder keeps little on the way and computes it once more on the way back. */
  readonly checkpointing: boolean;
  /** How often a frozen encoder encodes each example. */
  readonly copies: number;
  readonly decoder: DecoderName;
  readonly preset: string;
  /** Sizes that are not those of the preset. */
  readonly changes: Readonly<Record<string, unknown>>;
  readonly sampling: SamplingConfig;
  readonly seed: number;
  /** Whether some episodes are kept for measuring. */
  readonly holdOut: boolean;
  /** Updates between two evaluations, and episodes of each task in one. */
  readonly evaluateEvery: number;
  readonly episodes: number;
  /** The name of what computes. */
  readonly device: string;
  readonly threads: number;
  readonly saveMinutes: number;
  readonly minutes: number | undefined;
}

/** @throws UsageError for values, or combinations of them, that make no sense. */
export function readOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const given = parseCli(schema, argv);
  const { encoder, out, decoder, frozen, features, accumulate, clip } = given;
  if (encoder === undefined) throw new UsageError("expected --encoder, a folder with an encoder in it");
  if (out === undefined) throw new UsageError("expected --out, the folder of the run");
  if (features !== undefined && !frozen) throw new UsageError("--features needs --frozen");
  if (given.checkpointing && frozen)
    throw new UsageError("--checkpointing: expected an encoder that is trained, found --frozen");
  const recipe: Recipe = recipes[given.recipe];
  const optimisation = optimisationOf(given, recipe);
  if (optimisation.batch % accumulate !== 0)
    throw new UsageError(
      `--accumulate: expected a divisor of ${optimisation.batch} examples, got ${accumulate}`,
    );
  if (clip !== undefined && !(clip > 0))
    throw new UsageError(`--clip: expected a number above 0, got ${clip}`);
  const preset = given.preset ?? presetOf(decoder, given.recipe);
  if (!presetNames(decoder).includes(preset))
    throw new UsageError(`--preset: ${decoder} comes as ${presetNames(decoder).join(", ")}, got ${preset}`);
  const sampling = samplingOf(decoder, given.recipe);
  return {
    features: features ?? null,
    frozenNames: given.freeze?.split(",") ?? [],
    encoder,
    out,
    decoder,
    frozen,
    accumulate,
    clip,
    recipe,
    optimisation,
    preset,
    ...readData(given),
    suite: given.suite,
    roots: given.episodes === 0 ? null : rootsOf(given, environment),
    checkpointing: given.checkpointing,
    copies: given.copies,
    changes: readChanges(given),
    sampling: {
      temperature: given.temperature ?? sampling.temperature,
      actionsPerQuery: given["actions-per-query"] ?? sampling.actionsPerQuery,
    },
    seed: given.seed,
    holdOut: given["hold-out"],
    evaluateEvery: given["evaluate-every"] ?? optimisation.steps,
    episodes: given.episodes,
    device: given.device,
    threads: given.threads,
    saveMinutes: given["save-minutes"],
    minutes: given.minutes,
  };
}

type Given = Values<typeof schema>;

function readData(given: Given): { data: string; pairing: Pairing } {
  const { data, "libero-data": libero, suite, pairing = "causal" } = given;
  if ((data === undefined) === (libero === undefined))
    throw new UsageError("expected either --data or --libero-data, the demonstrations");
  return { data: data ?? join(libero as string, suite), pairing };
}

function rootsOf(given: Given, { LIBERO_ROOT, ROBOSUITE_ROOT }: NodeJS.ProcessEnv): Options["roots"] {
  if (given.suite === MINI && given.libero === undefined) return miniRoots;
  const [libero, robosuite] = [given.libero ?? LIBERO_ROOT, given.robosuite ?? ROBOSUITE_ROOT];
  if (libero && robosuite) return { libero, robosuite };
  throw new UsageError(
    `rollouts of suite ${given.suite} need clones: name both with --libero and --robosuite, or give --episodes 0`,
  );
}

/** The published decoders are called otherwise where there are several. */
const presetOf = (decoder: DecoderName, recipe: keyof typeof recipes): string =>
  recipe === "paper" && decoder === "flower" ? "large" : recipe;

function optimisationOf(given: Given, recipe: Recipe): Optimisation {
  const own = given.frozen ? recipe.frozen : recipe.joint;
  const { steps = own.steps, batch = own.batch, "learning-rate": peak = own.peak } = given;
  const { "weight-decay": weightDecay = own.weightDecay } = given;
  // Shorter runs warm up for shorter.
  const warmup = given.warmup ?? Math.min(own.warmup, Math.floor(steps / 4));
  if (warmup > steps) throw new UsageError(`--warmup: expected at most --steps ${steps}, got ${warmup}`);
  for (const [name, value] of Object.entries({ "learning-rate": peak, "weight-decay": weightDecay }))
    if (!(value >= 0)) throw new UsageError(`--${name}: expected a number from 0, got ${value}`);
  return { ...own, steps, batch, peak, warmup, weightDecay };
}

/** Flags that change a decoder's size, with the field that each stands for. */
const FIELDS = {
  blocks: "blocks",
  width: "width",
  depth: "depth",
  heads: "heads",
  condition: "condition",
  noise: "actionNoise",
  "token-dropout": "tokenDropout",
  dropout: "dropout",
  "time-sampling": "timeSampling",
} as const;

function readChanges(given: Given): Record<string, unknown> {
  const changes: Record<string, unknown> = given["no-plu"] ? { plu: false } : {};
  for (const [flag, field] of Object.entries(FIELDS)) {
    const value = given[flag as keyof typeof FIELDS];
    if (value !== undefined)
      changes[given.decoder === "flower" && flag === "blocks" ? "layers" : field] = value;
  }
  return changes;
}
