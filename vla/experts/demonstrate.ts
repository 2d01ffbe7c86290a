import type { LiberoEnv } from "../libero/env.ts";
import { NINA, type Protocol } from "../libero/protocols.ts";
import { type Action, createExpert } from "./index.ts";

/** One episode of an expert: what it did and what came of it. */
export interface Demonstration {
  readonly success: boolean;
  /** What was executed, settle steps not included; the last one brought success, if any did. */
  readonly actions: readonly Action[];
  /** What the expert was about to do at the end, and what had gone wrong before. */
  readonly account: string;
}

/** Where an episode starts. */
export interface DemonstrationStart {
  /** Name of the task's file, without extension. */
  readonly task: string;
  /** time, qpos, qvel. */
  readonly state: ArrayLike<number>;
  /** Places the fixtures. */
  readonly seed: number;
  /** Varies heights, speed and tremor of the expert. */
  readonly expertSeed: number;
}

/**
 * Plays one episode with the expert, as an evaluation would play it with a policy. Actions are rounded to four
 * decimals before they are executed, so a file that lists them repeats the episode exactly.
 */
export function demonstrate(
  env: LiberoEnv,
  { task, state, seed, expertSeed }: DemonstrationStart,
  maxSteps: number,
  { settle }: Protocol = NINA,
): Demonstration {
  env.start({ seed, state });
  for (let i = 0; i < settle.steps; i++) env.advance(settle.action);

  const expert = createExpert(env, task, expertSeed);
  const actions: Action[] = [];
  while (actions.length < maxSteps) {
    const action = expert.act().map((value) => Math.round(value * 1e4) / 1e4);
    const { success } = env.advance(action);
    actions.push(action);
    if (success) return { success, actions, account: expert.account };
  }
  return { success: false, actions, account: expert.account };
}
