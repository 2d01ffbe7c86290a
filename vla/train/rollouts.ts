import { rollout } from "../eval/rollout.ts";
import { episodeSeed } from "../eval/seed.ts";
import { composeScene } from "../libero/compose/scene.ts";
import { LiberoEnv } from "../libero/env.ts";
import { readInitStates } from "../libero/init-states.ts";
import { maxSteps, NINA } from "../libero/protocols.ts";
import { createRenderer } from "../libero/render/renderer.ts";
import { loadSuite, type Task } from "../libero/suites.ts";
import type { Policy } from "../policies/policy.ts";
import { sampleInitStates } from "../suites/mini/make-init-states.ts";
import { MINI } from "../suites/mini/roots.ts";

/** Which episodes a policy plays while it learns. */
export interface RolloutSettings {
  readonly suite: string;
  /** Folders laid out like clones of LIBERO and robosuite. */
  readonly libero: string;
  readonly robosuite: string;
  /** Of each task. */
  readonly episodes: number;
  /** Places the fixtures and seeds the policy. */
  readonly seed: number;
  /** Side of the pictures that the cameras take, pixels; null: as in NinA's protocol. */
  readonly cameraSize: number | null;
}

/**
 * Number of the first start on the embedded suite, whose starts can be drawn without end: evaluations use 0 to 49, and
 * demonstrations those from 1000 on. The best weights are to be chosen on neither.
 */
const FIRST_START = 500;

/** Plays some episodes of each task under NinA's protocol: the share that succeeded, by task; null when interrupted. */
export async function playSuite(
  policy: Policy,
  settings: RolloutSettings,
  interrupted: () => boolean,
): Promise<Map<string, number> | null> {
  const shares = new Map<string, number>();
  for (const task of loadSuite(settings.libero, settings.suite).tasks) {
    const share = await playTask(policy, task, settings, interrupted);
    if (share === null) return null;
    shares.set(task.name, share);
  }
  return shares;
}

async function playTask(
  policy: Policy,
  task: Task,
  { suite, libero, robosuite, episodes, seed, cameraSize }: RolloutSettings,
  interrupted: () => boolean,
): Promise<number | null> {
  const scene = composeScene({ libero, robosuite, task });
  const isMini = suite === MINI;
  const states = isMini
    ? await sampleInitStates(task, FIRST_START, episodes)
    : readInitStates(task.initPath, scene.layout).slice(0, episodes);
  using env = await LiberoEnv.open(scene, {
    renderer: createRenderer,
    imageSize: cameraSize ?? NINA.cameraSize,
  });
  let successes = 0;
  for (const [i, state] of states.entries()) {
    const init = isMini ? FIRST_START + i : i;
    const policySeed = episodeSeed(seed, suite, task.name, init);
    const start = { init, state, seed, policySeed, instruction: task.instruction };
    const played = await rollout(env, policy, start, NINA, maxSteps(NINA, suite), {
      interrupted,
      stepped() {},
    });
    if (played === null) return null;
    if (played.episode.outcome === "success") successes++;
  }
  return successes / states.length;
}
