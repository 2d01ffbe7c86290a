import type { LiberoEnv, StepOutcome } from "../libero/env.ts";
import type { Protocol } from "../libero/protocols.ts";
import type { Observation } from "../observation.ts";
import { nextTurn } from "../platform/node.ts";
import type { ActionChunk, Policy } from "../policies/policy.ts";
import { messageOf } from "./message-of.ts";
import type { EpisodeOutcome, EpisodeTiming, Outcome } from "./results.ts";

/** What an episode needs of an environment. */
export type Stage = Pick<LiberoEnv, "start" | "step" | "advance" | "observe" | "times" | "trajectoryHash">;

/** Where an episode starts. */
export interface Start {
  /** Index of the stored initial state, and its numbers: time, qpos, qvel. */
  readonly init: number;
  readonly state: ArrayLike<number>;
  /** Places the fixtures. */
  readonly seed: number;
  readonly policySeed: number;
  readonly instruction: string;
}

/** Who follows an episode while it runs. */
export interface Watcher {
  /** Asked before each control step; true ends the episode without a result. */
  interrupted(): boolean;
  /** Told after each control step: how many there were, and what became of it. */
  stepped(steps: number, outcome: StepOutcome): void;
  /** Where true: the policy is asked for the log-probability of each of its chunks. */
  readonly logProb?: boolean;
  /** Where given: gets every observation, that of step 0 included, which costs two pictures per step. */
  readonly frame?: (step: number, seen: Observation) => Promise<void>;
}

export interface Rollout {
  readonly episode: EpisodeOutcome;
  readonly timing: EpisodeTiming;
  /** What was executed, settle steps not included. */
  readonly actions: readonly (readonly number[])[];
}

/**
 * One episode: settle, look, plan a chunk of actions, play it, look again, until success or the last of `maxSteps`.
 * With an overlap it looks before the last actions of the chunk, and they play while the next is planned; what is
 * executed depends on no clock.
 *
 * A policy that throws, or plans something that is no action, ends its episode as `error`. Nothing else is caught:
 * a broken simulator stops the run and never counts as a failed episode.
 *
 * @returns null when interrupted.
 */
export async function rollout(
  env: Stage,
  policy: Policy,
  start: Start,
  protocol: Protocol,
  maxSteps: number,
  watcher: Watcher,
): Promise<Rollout | null> {
  const { overlap } = protocol;
  const before = env.times;
  const actions: number[][] = [];
  const logProbs: number[] = [];
  let policyCalls = 0;
  let policyMs = 0;
  let began = 0;

  const finish = (outcome: Outcome, error?: string): Rollout => {
    const { simulate, render, steps } = env.times;
    const played = Math.max(1, steps - before.steps);
    const episode: EpisodeOutcome = {
      init: start.init,
      policySeed: start.policySeed,
      outcome,
      ...(error !== undefined && { error }),
      steps: actions.length,
      trajectoryHash: env.trajectoryHash(),
      policyCalls,
      ...(logProbs.length > 0 && { logProbs }),
    };
    const timing: EpisodeTiming = {
      policyMs: policyCalls > 0 ? policyMs / policyCalls : null,
      simMs: (simulate - before.simulate) / played,
      renderMs: (render - before.render) / played,
      controlHz: actions.length > 0 ? (1000 * actions.length) / (performance.now() - began) : null,
    };
    return { episode, timing, actions };
  };

  env.start(start);
  let seen = settle(env, protocol);
  await watcher.frame?.(0, seen);
  began = performance.now();

  /** Asks for a chunk of what is seen now; what the policy throws is told when the chunk is needed. */
  const ask = async (): Promise<Answer> => {
    const asked = performance.now();
    try {
      if (policyCalls === 0) policy.reset(start.policySeed);
      const request = { logProb: watcher.logProb };
      const chunk = checkChunk(await policy.act(seen, start.instruction, request), overlap);
      policyCalls++;
      policyMs += performance.now() - asked;
      if (chunk.logProb !== undefined) logProbs.push(chunk.logProb);
      return { actions: chunk.actions.slice(0, protocol.actionsPerQuery ?? undefined) };
    } catch (error) {
      return { error };
    }
  };

  let next: Promise<Answer> | null = null;
  for (let over = 0; ; over = overlap) {
    const answer: Answer = await (next ?? ask());
    next = null;
    if ("error" in answer) return finish("error", messageOf(answer.error));
    const chunk = answer.actions.slice(over, over + maxSteps - actions.length);
    const isLast = actions.length + chunk.length >= maxSteps;
    for (const [i, action] of chunk.entries()) {
      const left = chunk.length - i;
      if (left === overlap && !isLast) next = ask();
      // Lets signals and chunks in: the simulator never waits for anything.
      await nextTurn();
      if (watcher.interrupted()) {
        await next;
        return null;
      }

      // Pictures cost more than physics: none are drawn that nobody looks at.
      let outcome: StepOutcome;
      if (watcher.frame || left === overlap + 1) {
        const result = env.step(action);
        [outcome, seen] = [result, result.observation];
      } else outcome = env.advance(action);
      actions.push(Array.from(action));
      watcher.stepped(actions.length, outcome);
      await watcher.frame?.(actions.length, seen);
      if (outcome.success) {
        await next; // the policy is free again, whatever it planned
        return finish("success");
      }
    }
    if (isLast) return finish("failure");
  }
}

/** What came of a query: what is to be executed, or what the policy threw. */
type Answer = { readonly actions: ActionChunk["actions"] } | { readonly error: unknown };

/** Lets objects fall onto their supports, as the protocol wants it. */
function settle(env: Stage, { settle: { steps, action } }: Protocol): Observation {
  for (let i = 1; i < steps; i++) env.advance(action);
  return steps > 0 ? env.step(action).observation : env.observe();
}

/** Policies are written by others: what they return may be anything. */
function checkChunk(chunk: ActionChunk, overlap: number): ActionChunk {
  const { actions, logProb } = (chunk ?? {}) as Partial<ActionChunk>;
  if (!Array.isArray(actions)) throw new Error("policy: expected a chunk with a list of actions, got none");
  if (actions.length === 0) throw new Error("policy: expected a chunk of at least one action, got none");
  if (overlap > 0 && actions.length <= 2 * overlap)
    throw new Error(
      `policy: expected a chunk of more than ${2 * overlap} actions, twice the overlap, got ${actions.length}`,
    );
  if (logProb !== undefined && !Number.isFinite(logProb))
    throw new Error(`policy: expected a finite log-probability, got ${logProb}`);
  for (const [i, action] of actions.entries()) {
    if (typeof action?.length !== "number")
      throw new Error(`policy: expected actions of 7 numbers, action ${i} is none`);
    if (action.length !== 7)
      throw new Error(`policy: expected actions of 7 numbers, action ${i} has ${action.length}`);
    const bad = Array.from(action).findIndex((value) => !Number.isFinite(value));
    if (bad !== -1)
      throw new Error(`policy: expected finite actions, action ${i} has ${action[bad]} at index ${bad}`);
  }
  return chunk;
}
