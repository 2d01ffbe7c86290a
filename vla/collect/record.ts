import type { Random } from "../../core/index.ts";
import type { RecordedEpisode } from "../data/libero-hdf5-writer.ts";
import { createExpert } from "../experts/index.ts";
import type { LiberoEnv } from "../libero/env.ts";
import { placeFixtures } from "../libero/fixture-poses.ts";
import { NINA } from "../libero/protocols.ts";
import type { Observation } from "../observation.ts";
import type { Policy } from "../policies/policy.ts";

/** Where an episode starts, and what varies it. */
export interface Start {
  /** Name of the task's file, without extension. */
  readonly task: string;
  /** (time, qpos, qvel). */
  readonly state: ArrayLike<number>;
  /** Places the fixtures. */
  readonly seed: number;
  /** Varies the expert's heights, speed and tremor. */
  readonly expertSeed: number;
}

/** A policy that drives until the expert takes over. */
export interface Pupil {
  readonly policy: Policy;
  readonly policySeed: number;
  readonly instruction: string;
  /** Probability that a chunk of actions is the policy's; else the expert drives for as long. */
  readonly share: number;
}

/** Why nothing is recorded: the expert did not succeed, or the pupil did before the expert took over. */
export type Unrecorded = "failed" | "solved";

/** A burst of noise starts at a step with this probability, unless one goes on. */
const BURST = 0.06;
const SHORTEST_BURST = 3;
const LONGEST_BURST = 8;

const MAX_STEPS = 300;
/** Longest that a pupil drives, control steps: 60 % of what an evaluation allows. */
const LONGEST_LEAD = 180;
/** Control steps between two draws of who drives, as many as an evaluation executes of a chunk. */
const CHUNK = 10;

/**
 * One episode of the scripted expert. The hand is now and then pushed off its way: for some steps a fixed deviation,
 * normal with spread `noise` in action units, is added to the translation that is executed. What is recorded is what
 * the expert wanted, so the recordings show how to come back (DART, arXiv:1703.09327).
 *
 * With a pupil the recording begins where that has driven to, after a number of steps drawn evenly from 1 to 180: the
 * expert shows how to go on from states that the policy itself comes to (DAgger, arXiv:1011.0686). From then on the
 * expert drives for good. It is not merely asked at each step of the policy's, for a policy of chunks learns several
 * actions at once: wishes one after the other, none of which was fulfilled, add up to a motion that goes too far.
 */
export async function recordEpisode(
  env: LiberoEnv,
  start: Start,
  noise: number,
  random: Random,
  pupil?: Pupil,
): Promise<RecordedEpisode | Unrecorded> {
  const { seed } = start;
  env.start(start);
  for (let i = 1; i < NINA.settle.steps; i++) env.advance(NINA.settle.action);
  const { observation } = env.step(NINA.settle.action);

  const rows = new Rows(env);
  if (pupil && (await lead(env, pupil, start, observation, rows, random)) === "solved") return "solved";
  const expert = createExpert(env, start.task, start.expertSeed);
  const push = bursts(noise, random);
  for (let step = 0; step < MAX_STEPS; step++) {
    const action = expert.act();
    const deviation = push();
    const executed = action.map((value, i) => (i < 3 ? clamp(value + deviation[i]) : value));
    if (rows.step(action, executed)) {
      const mjcf = placeFixtures(env.scene, env.scene.fixturePoses(seed, 0));
      return { mjcf, actions: rows.actions, states: rows.states, observations: rows.observations };
    }
  }
  return "failed";
}

/** What is recorded, a row per step. */
class Rows {
  readonly actions: (readonly number[])[] = [];
  readonly states: Float64Array[] = [];
  readonly observations: Observation[] = [];
  readonly #env: LiberoEnv;

  constructor(env: LiberoEnv) {
    this.#env = env;
  }

  /** Executes an action and notes the one that the expert wanted. Returns whether the goal is reached. */
  step(wanted: readonly number[], executed: ArrayLike<number>): boolean {
    const { data, views } = this.#env.sim;
    this.states.push(Float64Array.of(data.time, ...views.qpos, ...views.qvel));
    this.actions.push(wanted);
    const { success, observation } = this.#env.step(executed);
    this.observations.push(observation);
    return success;
  }
}

/**
 * Lets the pupil drive. Of its steps the last is recorded, with the expert's wish, because its picture is the one that
 * the expert's first action answers.
 */
async function lead(
  env: LiberoEnv,
  { policy, policySeed, instruction, share }: Pupil,
  { task, expertSeed }: Start,
  seen: Observation,
  rows: Rows,
  random: Random,
): Promise<"solved" | "handed over"> {
  policy.reset(policySeed);
  const last = random.integer(LONGEST_LEAD);
  for (let step = 0; ; ) {
    const expert = createExpert(env, task, expertSeed);
    const planned = random.uniform() < share ? (await policy.act(seen, instruction)).actions : null;
    const chunk = Math.min(planned?.length ?? CHUNK, CHUNK);
    for (let t = 0; t < chunk; t++, step++) {
      const action = planned?.[t] ?? expert.act();
      if (step === last) {
        const wanted = createExpert(env, task, expertSeed).act();
        return rows.step(wanted, action) ? "solved" : "handed over";
      }
      // Pictures cost more than physics: none are drawn that nobody looks at.
      let success: boolean;
      if (t === chunk - 1) ({ success, observation: seen } = env.step(action));
      else ({ success } = env.advance(action));
      if (success) return "solved";
    }
  }
}

const NONE = [0, 0, 0] as const;

/** The deviation of each step, one after the other. */
function bursts(noise: number, random: Random): () => readonly number[] {
  let left = 0;
  let deviation: readonly number[] = NONE;
  return () => {
    if (left > 0) left--;
    else if (random.uniform() < BURST) {
      left = SHORTEST_BURST + random.integer(LONGEST_BURST - SHORTEST_BURST + 1) - 1;
      deviation = NONE.map(() => noise * random.normal());
    } else deviation = NONE;
    return deviation;
  };
}

const clamp = (value: number): number => Math.min(1, Math.max(-1, value));
