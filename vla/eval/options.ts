import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, UsageError } from "../../core/index.ts";
import type { Contacts } from "../libero/mujoco.ts";
import { PROTOCOLS, type Protocol } from "../libero/protocols.ts";
import { DEFAULT_POLICY, type PolicyKind, policyKinds } from "../policies/index.ts";
import { INTERRUPTED } from "./interrupt.ts";

/** The suite that is part of this project, in a folder laid out like clones of LIBERO and robosuite. */
const EMBEDDED = {
  suite: "mini",
  libero: fileURLToPath(new URL("../suites/mini/LIBERO", import.meta.url)),
  robosuite: fileURLToPath(new URL("../suites/mini/robosuite", import.meta.url)),
  /** Untrained weights, drawn from a seed. */
  checkpoint: fileURLToPath(new URL("../suites/mini/checkpoint", import.meta.url)),
  /** Enough to see it work, within three minutes on two cores. */
  episodes: 2,
} as const;

const schema = {
  usage: "npx tsx vla/eval.ts [options] [FILE]",
  description:
    "Evaluates a policy on the tasks of a LIBERO suite; prints success rates and timings.\n" +
    "Exit code: 0 when every episode ended in success or failure, 1 when one ended in an error or the run broke off,\n" +
    `2 for arguments it does not understand, ${INTERRUPTED} after Ctrl-C, which keeps the finished episodes.`,
  positionals: {
    "FILE?": "for --policy replay: recorded actions as JSON, or the episodes.jsonl of an earlier run",
  },
  options: {
    suite: {
      type: "string",
      default: EMBEDDED.suite,
      help: "mini, which is embedded, or one of the LIBERO clone",
    },
    tasks: { type: "string", help: "indices or names, separated by commas; otherwise all" },
    episodes: {
      type: "number",
      help: `per task; otherwise as many as the protocol says, ${EMBEDDED.episodes} on the embedded suite`,
    },
    first: { type: "number", default: 0, help: "initial state of each task's first episode" },
    protocol: {
      type: "string",
      default: "nina",
      choices: Object.keys(PROTOCOLS),
      help: "whose limits, settling, pictures and queries",
    },
    policy: { type: "string", default: DEFAULT_POLICY, choices: policyKinds, help: "who acts" },
    checkpoint: {
      type: "string",
      help: "for --policy nina: a checkpoint folder; otherwise the embedded, untrained one",
    },
    seed: { type: "number", default: 0, help: "places the fixtures and seeds the policy" },
    libero: { type: "string", help: "folder of a LIBERO clone; otherwise LIBERO_ROOT of the environment" },
    robosuite: {
      type: "string",
      help: "folder of a robosuite clone; otherwise ROBOSUITE_ROOT of the environment",
    },
    contacts: {
      type: "string",
      default: "mujoco-2.3",
      choices: ["mujoco-2.3", "native"],
      help: "box contacts of the MuJoCo of LIBERO's authors, or of this one",
    },
    json: { type: "string", help: "writes all results to this file, after each episode" },
    out: { type: "string", help: "folder whose episodes.jsonl gets a line per finished episode" },
    frames: {
      type: "boolean",
      help: "writes what both cameras see at each step into --out as PNG, upright (row 0 of observations is the bottom)",
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
  readonly policy: PolicyKind;
  /** The recording that `replay` plays. */
  readonly file?: string;
  /** The folder that `nina` loads. */
  readonly checkpoint: string;
  readonly seed: number;
  readonly contacts: Contacts;
  readonly json?: string;
  readonly out?: string;
  readonly frames: boolean;
}

/** @throws UsageError for what cannot be meant. */
export function readOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const { positionals, ...given } = parseCli(schema, argv);
  const embedded = given.suite === EMBEDDED.suite && given.libero === undefined;
  const protocol = PROTOCOLS[given.protocol];
  const episodes = given.episodes ?? (embedded ? EMBEDDED.episodes : protocol.episodesPerTask);

  requireWhole("episodes", episodes, 1);
  requireWhole("first", given.first, 0);
  requireWhole("seed", given.seed, 0);
  if (given.policy !== "replay" && positionals.FILE !== undefined)
    throw new UsageError(`only --policy replay takes a file, got ${positionals.FILE} for ${given.policy}`);
  if (given.policy !== "nina" && given.checkpoint !== undefined)
    throw new UsageError(
      `only --policy nina takes --checkpoint, got ${given.checkpoint} for ${given.policy}`,
    );
  if (embedded && given.robosuite !== undefined)
    throw new UsageError(`--robosuite needs --libero for suite ${given.suite}, which otherwise is embedded`);
  if (given.frames && given.out === undefined)
    throw new UsageError("--frames needs --out, the folder to write into");

  return {
    ...given,
    ...(embedded
      ? { libero: EMBEDDED.libero, robosuite: EMBEDDED.robosuite }
      : findClones(given, environment)),
    tasks: given.tasks === undefined ? null : readTasks(given.tasks),
    episodes,
    protocol,
    file: positionals.FILE,
    checkpoint: given.checkpoint ?? EMBEDDED.checkpoint,
  };
}

function findClones(
  given: { readonly suite: string; readonly libero?: string; readonly robosuite?: string },
  { LIBERO_ROOT, ROBOSUITE_ROOT }: NodeJS.ProcessEnv,
): { libero: string; robosuite: string } {
  const libero = given.libero ?? LIBERO_ROOT;
  const robosuite = given.robosuite ?? ROBOSUITE_ROOT;
  if (libero === undefined || robosuite === undefined)
    throw new UsageError(
      `suite ${given.suite} is not embedded (${EMBEDDED.suite} is): ` +
        "name clones with --libero and --robosuite, or in LIBERO_ROOT and ROBOSUITE_ROOT",
    );
  return { libero, robosuite };
}

function readTasks(list: string): (number | string)[] {
  return list.split(",").map((word) => {
    if (word.trim() === "")
      throw new UsageError(`--tasks: expected indices or names, got ${JSON.stringify(list)}`);
    return /^\d+$/.test(word.trim()) ? Number(word) : word.trim();
  });
}

function requireWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value >= 2 ** 32)
    throw new UsageError(`--${name}: expected a whole number from ${least} to ${2 ** 32 - 1}, got ${value}`);
}
