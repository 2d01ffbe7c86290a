import { join } from "node:path";
import { UsageError } from "../../cli/index.ts";
import { tileSetting } from "../../core/index.ts";
import { MUJOCO_VERSION } from "../libero/mujoco.ts";
import type { Protocol } from "../libero/protocols.ts";
import { findTasks, loadSuite } from "../libero/suites.ts";
import { adapted } from "../policies/adapter.ts";
import { type EpisodeKey, endPolicies, loadPolicy, type PolicySource } from "../policies/index.ts";
import type { Policy } from "../policies/policy.ts";
import { describeRun } from "./describe-run.ts";
import { type Manifest, manifestOf } from "./manifest.ts";
import type { Options } from "./options.ts";
import type { Setting } from "./player.ts";
import type { Job } from "./schedule.ts";
import { setUpRun, type TaskSetup } from "./setup.ts";
import { partOf } from "./shard.ts";

/** A run that can be played: it has passed every check that is possible before its first step. */
export interface Prepared {
  /** Its end is the caller's. */
  readonly policies: PolicySource;
  /** What is to be played here: the run, or a part of it. */
  readonly setups: readonly TaskSetup[];
  readonly manifest: Manifest;
}

/**
 * Reads tasks and policy of a run. @throws Error for what cannot be played, before the first step of the first task.
 */
export async function prepareRun(options: Options): Promise<Prepared> {
  const suite = loadSuite(options.libero, options.suite);
  const tasks = options.tasks === null ? suite.tasks : findTasks(suite, options.tasks);
  tileSetting(); // throws for a bad one, which is no fault of the policy
  const policies = await loadPolicy(options.policy, options);
  try {
    checkOverlap(options.protocol, policies);
    if (options.logProb && !policies.hasDensity)
      throw new UsageError(`--log-prob: expected a policy with a density, got ${policies.name}`);
    const whole = setUpRun(options, suite, tasks);
    const setups = options.shard ? partOf(whole, options.shard) : whole;
    for (const setup of setups)
      for (const episode of setup.episodes) {
        // Words that a perturbation chose may break their own episodes only.
        if (!episode.language) policyOf({ setup, episode }, options, policies)[Symbol.dispose]?.();
      }
    const run = describeRun(options, policies);
    return { policies, setups, manifest: manifestOf(run, options, policies, whole) };
  } catch (error) {
    await endPolicies(policies);
    throw error;
  }
}

/** What the players of a run need to know of it. */
export function settingOf(options: Options, cameraSize: number): Setting {
  const { libero, robosuite, suite, seed, protocol, maxSteps, contacts, logProb, out, frames, video } =
    options;
  return {
    libero,
    robosuite,
    suite,
    seed,
    protocol,
    maxSteps,
    contacts,
    cameraSize,
    logProb,
    ...(frames && { frames: join(out!, "frames") }),
    ...(video && { videos: join(out!, "videos") }),
  };
}

/** A policy for an episode, which sees what the protocol shows. @throws Error where its source has none. */
export function policyOf(job: Job, options: Options, policies: PolicySource): Policy {
  return adapted(policies.forEpisode(keyOf(job, options)), options.protocol);
}

/** What a policy is found by. */
export function keyOf({ setup, episode }: Job, options: Options): EpisodeKey {
  const { suite, seed, protocol, contacts } = options;
  const { init, told, instruction } = episode;
  const { task, perturb } = setup;
  return {
    suite,
    task,
    told,
    instruction,
    init,
    seed,
    protocol,
    contacts,
    mujoco: MUJOCO_VERSION,
    perturb,
  };
}

/** An episode's name for readers. */
export function labelOf({ setup, episode }: Job): string {
  return `${setup.task} ${episode.init}${setup.perturb === undefined ? "" : ` (${setup.perturb})`}`;
}

/** A chunk must have actions left to execute when the next one takes over, and one more before that is asked for. */
function checkOverlap({ overlap, actionsPerQuery }: Protocol, { name, sampling }: PolicySource): void {
  const handedOut = Math.min(sampling?.actionsPerQuery ?? Infinity, actionsPerQuery ?? Infinity);
  if (2 * overlap >= handedOut)
    throw new UsageError(
      `--overlap: expected less than half of the ${handedOut} actions that ${name} hands out, got ${overlap}`,
    );
}
