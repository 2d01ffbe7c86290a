import type { Random } from "../../core/index.ts";
import type { RecordedEpisode } from "../data/libero-hdf5-writer.ts";
import type { LiberoEnv } from "../libero/env.ts";
import { placeFixtures } from "../libero/fixture-poses.ts";
import { NINA } from "../libero/protocols.ts";
import type { Observation } from "../observation.ts";
import { Expert } from "../suites/mini/expert.ts";

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

/** A burst of noise starts at a step with this probability, unless one goes on. */
const BURST = 0.06;
const SHORTEST_BURST = 3;
const LONGEST_BURST = 8;

const MAX_STEPS = 300;

/**
 * One episode of the scripted expert; null when it does not succeed. The hand is now and then pushed off its way: for
 * some steps a fixed deviation, normal with spread `noise` in action units, is added to the translation that is executed.
 * What is recorded is what the expert wanted, so the recordings show how to come back (DART, arXiv:1703.09327).
 */
export function recordEpisode(
  env: LiberoEnv,
  { task, state, seed, expertSeed }: Start,
  noise: number,
  random: Random,
): RecordedEpisode | null {
  env.reset({ seed, resets: 0 });
  env.setInitState(state);
  for (let i = 0; i < NINA.settle.steps; i++) env.advance(NINA.settle.action);

  const expert = new Expert(task, env.sim, expertSeed);
  const push = bursts(noise, random);
  const actions: number[][] = [];
  const states: Float64Array[] = [];
  const observations: Observation[] = [];
  while (actions.length < MAX_STEPS) {
    const action = expert.act();
    const deviation = push();
    const executed = action.map((value, i) => (i < 3 ? clamp(value + deviation[i]) : value));
    const { qpos, qvel } = env.sim.views;
    states.push(Float64Array.of(env.sim.data.time, ...qpos, ...qvel));
    actions.push(action);
    const { success, observation } = env.step(executed);
    observations.push(observation);
    if (success) {
      const mjcf = placeFixtures(env.scene, env.scene.fixturePoses(seed, 0));
      return { mjcf, actions, states, observations };
    }
  }
  return null;
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
