import { existsSync } from "node:fs";
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
  if (!existsSync(path)) throw new Error(`${path}: expected the manifest of a run, found no file`);
  const text = readText(path, MOST_TEXT_BYTES);
  let manifest: Partial<Manifest> | null;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path}: expected the manifest of a run, found ${printable(text, 60)}`, { cause });
  }
  if (manifest?.format !== FORMAT)
    throw new Error(
      `${path}: expected a manifest of format ${FORMAT}, found ${printable(`${JSON.stringify(manifest?.format)}`, 60)}`,
    );
  return manifest as Manifest;
}
