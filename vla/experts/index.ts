import type { Scene } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import { Expert as BlocksExpert, expertTasks } from "../suites/mini/expert.ts";
import { GoalExpert } from "./expert.ts";
import type { Action } from "./hand.ts";

export type { Action } from "./hand.ts";

/**
 * Who shows how a task is done. It looks at the simulator's true poses and speaks through the same seven action numbers
 * as any policy, so its episodes can be recorded as demonstrations. Equal seeds and equal worlds give equal actions.
 */
export interface Expert {
  /**
   * The next action, (7), each in [-1, 1], for the world as it is now. Never ends: whoever runs the episode stops it.
   */
  act(): Action;
  /** What it is about to do, and what went wrong before. */
  readonly account: string;
}

/**
 * The expert for the running episode.
 *
 * @param task name of a task's file, without extension: those of the embedded suite have an expert of their own.
 * @param seed varies heights, speeds and tremor: an integer in [0, 2³²).
 * @throws EnvError for a goal that there is no skill for.
 */
export function createExpert(
  { scene, sim }: { readonly scene: Scene; readonly sim: Sim },
  task: string,
  seed: number,
): Expert {
  return expertTasks.includes(task) ? new BlocksExpert(task, sim, seed) : new GoalExpert(scene, sim, seed);
}
