import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, UsageError, type Values } from "../../cli/index.ts";
import { DEVICE_NAMES, WEIGHT_BYTES, type WeightFormat } from "../../core/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { Contacts } from "../libero/contacts.ts";
import { maxSteps, PROTOCOLS, type Protocol } from "../libero/protocols.ts";
import { DIMENSIONS, type Levels, readGrid, readLevels } from "../perturb/dimensions.ts";
import { DEFAULT_POLICY, isModule, type PolicyName, policyKinds } from "../policies/index.ts";
import { INTERRUPTED } from "./interrupt.ts";
import { readShard, type Shard } from "./shard.ts";

/** The suite that is part of this project, in a folder laid out like clones of LIBERO and robosuite. */
export const EMBEDDED = {
  suite: "mini",
  libero: fileURLToPath(new URL("../suites/mini/LIBERO", import.meta.url)),
  robosuite: fileURLToPath(new URL("../suites/mini/robosuite", import.meta.url)),
  /** A policy trained on the suite. */
  checkpoint: fileURLToPath(new URL("../suites/mini/checkpoint", import.meta.url)),
  /** Enough to see it work, within half a minute on two cores. */
  episodes: 2,
} as const;

/** Which tasks, for every command that plays some. */
export const SUITE_OPTIONS = {
  suite: {
    type: "string",
    default: EMBEDDED.suite,
    help: "mini, which is embedded, or one of the LIBERO clone",
  },
  tasks: { type: "string", help: "indices or names, separated by commas; otherwise all" },
} as const satisfies CliSchema["options"];

/** Where they are read from, see `findRoots`. */
export const CLONE_OPTIONS = {
  libero: { type: "string", help: "folder of a LIBERO clone; otherwise LIBERO_ROOT of the environment" },
  robosuite: {
    type: "string",
    help: "folder of a robosuite clone; otherwise ROBOSUITE_ROOT of the environment",
  },
} as const satisfies CliSchema["options"];

/** What makes a run this run and no other, for every command that plays one. */
export const RUN_OPTIONS = {
  ...SUITE_OPTIONS,
  episodes: {
    type: "integer",
    least: 1,
    help: `per task; otherwise as many as the protocol says, ${EMBEDDED.episodes} on the embedded suite`,
  },
  first: { type: "integer", least: 0, default: 0, help: "initial state of each task's first episode" },
  protocol: {
    type: "string",
    default: "nina",
    choices: Object.keys(PROTOCOLS),
    help: "whose evaluation to repeat: limits, settling, pictures, queries",
  },
  policy: {
    type: "string",
    default: DEFAULT_POLICY,
    help: `who acts: ${policyKinds.join(", ")}, ws://host:port of a server of openpi's kind, or a module, ./mine.ts`,
  },
  checkpoint: {
    type: "string",
    help: "for --policy nina: a checkpoint folder; otherwise the embedded one",
  },
  temperature: {
    type: "number",
    help: "for --policy nina: scales the noise it samples from; otherwise as its checkpoint says",
  },
  "actions-per-query": {
    type: "integer",
    least: 1,
    help: "for --policy nina: actions of each chunk that it hands out; otherwise as its checkpoint says",
  },
  device: {
    type: "string",
    default: "cpu",
    choices: DEVICE_NAMES,
    help: "for --policy nina: what computes; npx tsx core/devices.ts lists what this machine offers",
  },
  weights: {
    type: "string",
    default: "float32",
    choices: Object.keys(WEIGHT_BYTES) as WeightFormat[],
    help: "for --policy nina: what the encoder's weights are kept as: bfloat16 takes half the memory, int8 a quarter",
  },
  overlap: {
    type: "integer",
    least: 0,
    default: 0,
    help: "plans the next chunk while so many actions of the last one play, and skips as many of it; not for zero and replay",
  },
  "log-prob": { type: "boolean", help: "asks for the log-probability of each chunk, for the results" },
  "swap-words": {
    type: "boolean",
    help: "tells the policy at each start the words of another task of its scene; counts how often that task is done",
  },
  perturb: {
    type: "string",
    help: `makes every episode harder: DIMENSION:LEVEL, with commas between, of ${DIMENSIONS.join(", ")}; levels 1 to 5`,
  },
  robustness: {
    type: "string",
    help: "plays every start as it is, then harder in each way: all, or a list such as camera:3,noise (noise: at its five levels)",
  },
  seed: {
    type: "integer",
    least: 0,
    default: 0,
    help: "places the fixtures, seeds the policy and the perturbations",
  },
  ...CLONE_OPTIONS,
  contacts: {
    type: "string",
    default: "mujoco-2.3",
    choices: ["mujoco-2.3", "native"],
    help: "how hard boxes push boxes: as in the MuJoCo of LIBERO's authors, or as in this one",
  },
} as const satisfies CliSchema["options"];

/** The last word of these commands. */
export const FILE_POSITIONAL = {
  "FILE?": "for --policy replay: recorded actions as JSON, or the episodes.jsonl of an earlier run",
} as const;

/** How much of it at the same time. */
export const WORKERS_OPTION = {
  workers: {
    type: "integer",
    least: 1,
    help: "episodes that are played at the same time, each simulator in a thread; otherwise as many as there are cores",
  },
} as const satisfies CliSchema["options"];

const schema = {
  usage: "npx tsx vla/eval.ts [options] [FILE]",
  description:
    "Evaluates a policy on the tasks of a LIBERO suite; prints success rates and timings.\n" +
    "Exit code: 0 when every episode ended in success or failure, 1 when one ended in an error or the run broke off,\n" +
    `2 for arguments it does not understand, ${INTERRUPTED} after Ctrl-C, which keeps the finished episodes, 141 when nobody\n` +
    "reads its output any more. Files of another run, or that another process writes, are refused.",
  positionals: FILE_POSITIONAL,
  options: {
    ...RUN_OPTIONS,
    ...WORKERS_OPTION,
    shard: {
      type: "string",
      help: "I/N: plays part I, from 0 on, of N parts of the run, for as many machines; npx tsx vla/merge.ts puts them together",
    },
    json: {
      type: "string",
      help: "writes all results to this new file, after each episode; to a pipe or device at the end",
    },
    out: {
      type: "string",
      help: "folder of the run: manifest.json, and a line of episodes.jsonl per finished episode; the same command goes on in it",
    },
    frames: {
      type: "boolean",
      help: "writes what both cameras see at each step into --out as PNG, upright (row 0 of observations is the bottom)",
    },
    video: {
      type: "boolean",
      help: "writes a video of both cameras for each episode into --out, as animated WebP",
    },
    watch: {
      type: "integer",
      least: 0,
      help: "port of a page that follows the run, for this machine alone; 0 takes any that is free",
    },
  },
} as const satisfies CliSchema;

/** What a run was asked for, checked. */
export interface Options {
  readonly suite: string;
  readonly libero: string;
  readonly robosuite: string;
  /** Indices and names; null for all. */
  readonly tasks: readonly (number | string)[] | null;
  readonly episodes: number;
  readonly first: number;
  readonly protocol: Protocol;
  /** Control steps that the protocol gives a policy on this suite. */
  readonly maxSteps: number;
  readonly policy: PolicyName;
  /** The recording that `replay` plays. */
  readonly file?: string;
  /** The folder that `nina` loads. */
  readonly checkpoint: string;
  /** What of the checkpoint's sampling is overridden. */
  readonly sampling: Partial<SamplingConfig>;
  /** The name of what computes. */
  readonly device: string;
  /** What the encoder's weights are kept as. */
  readonly weights: WeightFormat;
  /** Whether starts are played with the words of other tasks of their scenes. */
  readonly swapWords: boolean;
  /** How starts are made harder, as it was said; each of `conditions` is played in turn. */
  readonly perturb?: string;
  readonly robustness?: string;
  readonly conditions: readonly Levels[];
  /** Whether the policy is asked for log-probabilities. */
  readonly logProb: boolean;
  /** Episodes that are played at the same time. */
  readonly workers: number;
  /** Which part of the run is played; null for all of it. */
  readonly shard: Shard | null;
  readonly seed: number;
  readonly contacts: Contacts;
  readonly json?: string;
  readonly out?: string;
  readonly frames: boolean;
  readonly video: boolean;
  /** Port of the page that follows the run. */
  readonly watch?: number;
}

/** @throws UsageError for values, or combinations of them, that make no sense. */
export function readOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): Options {
  return optionsOf(parseCli(schema, argv), environment);
}

/** The same of arguments that are parsed already. */
export function optionsOf(
  { positionals, ...given }: Values<typeof schema>,
  environment: NodeJS.ProcessEnv,
): Options {
  const sampling = readSampling(given);
  const embedded = isEmbedded(given);
  const protocol = { ...PROTOCOLS[given.protocol], overlap: given.overlap };
  const episodes = given.episodes ?? (embedded ? EMBEDDED.episodes : protocol.episodesPerTask);

  const own = isModule(given.policy); // takes what it likes of the following
  if (!own && given.policy !== "replay" && positionals.FILE !== undefined)
    throw new UsageError(`only --policy replay takes a file, got ${positionals.FILE} for ${given.policy}`);
  if (!own && given.policy !== "nina" && given.checkpoint !== undefined)
    throw new UsageError(
      `only --policy nina takes --checkpoint, got ${given.checkpoint} for ${given.policy}`,
    );
  if (!own && given.policy !== "nina" && Object.keys(sampling).length > 0)
    throw new UsageError(
      `only --policy nina takes --temperature and --actions-per-query, got one for ${given.policy}`,
    );
  if (!own && given.policy !== "nina" && given.device !== "cpu")
    throw new UsageError(`only --policy nina takes --device, got ${given.device} for ${given.policy}`);
  if (!own && given.policy !== "nina" && given.weights !== "float32")
    throw new UsageError(`only --policy nina takes --weights, got ${given.weights} for ${given.policy}`);
  if ((given.policy === "zero" || given.policy === "replay") && given.overlap > 0)
    throw new UsageError(`--policy ${given.policy} takes no --overlap, got ${given.overlap}`);
  if (embedded && given.robosuite !== undefined)
    throw new UsageError(`--robosuite needs --libero for suite ${given.suite}, which otherwise is embedded`);
  if (given.frames && given.out === undefined)
    throw new UsageError("--frames needs --out, the folder to write into");
  if (given.video && given.out === undefined)
    throw new UsageError("--video needs --out, the folder to write into");
  if (given.json !== undefined && given.out !== undefined && meet(given.json, given.out))
    throw new UsageError(`--json ${given.json} is where --out ${given.out} writes: name another file`);

  if (given.watch !== undefined && given.watch > 65_535)
    throw new UsageError(`--watch: expected at most 65535, got ${given.watch}`);

  if (given.perturb !== undefined && given.robustness !== undefined)
    throw new UsageError("expected --perturb or --robustness, got both");
  if (given["swap-words"] && (given.perturb ?? given.robustness) !== undefined)
    throw new UsageError("--swap-words plays starts as they are: leave out --perturb and --robustness");
  if (given.frames && given.robustness !== undefined)
    throw new UsageError(
      "--frames keeps one episode of each start, and --robustness plays several: name one with --perturb",
    );

  return {
    ...given,
    ...findRoots(given, environment),
    tasks: given.tasks === undefined ? null : readTasks(given.tasks),
    conditions: readConditions(given),
    episodes,
    protocol,
    maxSteps: limitOf(protocol, given.suite),
    file: positionals.FILE,
    checkpoint: given.checkpoint ?? EMBEDDED.checkpoint,
    sampling,
    logProb: given["log-prob"],
    workers: given.workers ?? availableParallelism(),
    shard: given.shard === undefined ? null : readShard(given.shard),
    swapWords: given["swap-words"],
  };
}

/** A run has one, or the grid behind the start as it is. */
function readConditions({ perturb, robustness }: Pick<Options, "perturb" | "robustness">): Levels[] {
  if (robustness !== undefined) return [{}, ...readGrid("--robustness", robustness)];
  return [perturb === undefined ? {} : readLevels("--perturb", perturb)];
}

/** What is not to be sampled as the checkpoint says. */
function readSampling(given: {
  readonly temperature?: number;
  readonly "actions-per-query"?: number;
}): Partial<SamplingConfig> {
  const { temperature, "actions-per-query": actionsPerQuery } = given;
  if (temperature !== undefined && !(temperature >= 0 && temperature <= 10))
    throw new UsageError(`--temperature: expected a number in 0..10, got ${temperature}`);
  return {
    ...(temperature !== undefined && { temperature }),
    ...(actionsPerQuery !== undefined && { actionsPerQuery }),
  };
}

/** The file of results is the folder itself or one of its own. */
function meet(json: string, out: string): boolean {
  const within = relative(out, json);
  const isOurs =
    /^(manifest\.json|episodes\.jsonl|timings\.jsonl|report\.html)$|^(frames|videos)([/\\]|$)/.test(within);
  return within === "" || isOurs;
}

/** The folders that a suite is read from, of those that were given. */
interface Where {
  readonly suite: string;
  readonly libero?: string;
  readonly robosuite?: string;
}

const isEmbedded = ({ suite, libero }: Where): boolean => suite === EMBEDDED.suite && libero === undefined;

/** The folders of a suite: the embedded ones, or clones of LIBERO and robosuite. @throws UsageError without either. */
export function findRoots(
  given: Where,
  { LIBERO_ROOT, ROBOSUITE_ROOT }: NodeJS.ProcessEnv,
): { libero: string; robosuite: string } {
  if (isEmbedded(given)) return { libero: EMBEDDED.libero, robosuite: EMBEDDED.robosuite };
  const libero = given.libero ?? LIBERO_ROOT;
  const robosuite = given.robosuite ?? ROBOSUITE_ROOT;
  // A variable that is set to nothing names no folder.
  if (!libero || !robosuite)
    throw new UsageError(
      `suite ${given.suite} is read from clones (embedded is ${EMBEDDED.suite}): ` +
        "name both with --libero and --robosuite, or in LIBERO_ROOT and ROBOSUITE_ROOT",
    );
  return { libero, robosuite };
}

/** Indices and names of tasks, separated by commas. */
export function readTasks(list: string): (number | string)[] {
  return list.split(",").map((word) => {
    if (word.trim() === "")
      throw new UsageError(`--tasks: expected indices or names, got ${JSON.stringify(list)}`);
    return /^\d+$/.test(word.trim()) ? Number(word) : word.trim();
  });
}

function limitOf(protocol: Protocol, suite: string): number {
  try {
    return maxSteps(protocol, suite);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
