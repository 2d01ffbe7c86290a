import { createRequire } from "node:module";
import { join } from "node:path";
import { printable, readText } from "../../core/index.ts";
import { MOST_TEXT_BYTES } from "../json-lines.ts";
import type { Protocol } from "../libero/protocols.ts";
import type { PolicySource } from "../policies/index.ts";
import type { ExpectedTask } from "./ledger.ts";
import type { Options } from "./options.ts";
import type { RunInfo } from "./results.ts";
import type { TaskSetup } from "./setup.ts";
import type { Shard } from "./shard.ts";

/** The layout of run folders: another number is read otherwise. */
const FORMAT = 1;

/** All that a run's episodes depend on: two runs with the same manifest have the same episodes. */
export interface Manifest {
  readonly format: number;
  /** Of nina-ts. */
  readonly version: string;
  readonly run: RunInfo;
  /** What tells the policy from others of its name: a digest of its weights, its recording or its code. */
  readonly policyDigest: string | null;
  readonly protocol: Protocol;
  readonly maxSteps: number;
  /** Whether log-probabilities are in the results. */
  readonly logProb: boolean;
  /** Of each task: the first initial state and how many. */
  readonly first: number;
  readonly episodes: number;
  readonly tasks: readonly {
    readonly task: string;
    readonly instruction: string;
    readonly perturb?: string;
    /** SHA-256 of all that it is read from. */
    readonly digest: string;
  }[];
  /** Which part of the run this is, where it is one. */
  readonly shard?: Shard;
}

export function manifestOf(
  run: RunInfo,
  { protocol, maxSteps, logProb, first, episodes, shard }: Options,
  policies: PolicySource,
  setups: readonly TaskSetup[],
): Manifest {
  const { version } = createRequire(import.meta.url)("nina-ts/package.json");
  return {
    format: FORMAT,
    version,
    run,
    policyDigest: policies.digest ?? null,
    protocol,
    maxSteps,
    logProb,
    first,
    episodes,
    tasks: setups.map(({ task, instruction, perturb, digest }) => ({
      task,
      instruction,
      ...(perturb !== undefined && { perturb }),
      digest,
    })),
    ...(shard && { shard }),
  };
}

/** The tasks and episodes of a whole run. */
export const tasksOf = ({ tasks, first, episodes }: Manifest): ExpectedTask[] =>
  tasks.map((task) => ({
    ...task,
    episodes: Array.from({ length: episodes }, (_, i) => ({ init: first + i })),
  }));

/**
 * Reads the manifest of a run's folder. @throws Error for a folder without one, or with one that this version cannot
 * read.
 */
export function readManifest(out: string): Manifest {
  const path = join(out, "manifest.json");
  let manifest: Partial<Manifest> | null;
  try {
    manifest = JSON.parse(readText(path, MOST_TEXT_BYTES));
  } catch (cause) {
    const why = printable((cause as Error).message, 300);
    throw new Error(`${path}: expected the manifest of a run: ${why}`, { cause });
  }
  if (manifest?.format !== FORMAT)
    throw new Error(
      `${path}: expected a manifest of format ${FORMAT}, found ${printable(`${JSON.stringify(manifest?.format)}`, 60)}`,
    );
  return manifest as Manifest;
}

/** Where two manifests differ: `run.seed: 0, and 7`, one line each. Both as JSON has them. */
export function differences(a: unknown, b: unknown, path = ""): string[] {
  if (!isParent(a) || !isParent(b))
    return Object.is(a, b) ? [] : [`${path}: ${JSON.stringify(a)}, and ${JSON.stringify(b)}`];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differences(a[key], b[key], path === "" ? key : `${path}.${key}`));
}

const isParent = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
