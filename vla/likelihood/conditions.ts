import { type CameraMove, moveCamera, recolour } from "../libero/disturb.ts";
import type { Scene } from "../libero/scene.ts";
import { groupByScene } from "../libero/scene-mates.ts";
import type { Suite, Task } from "../libero/suites.ts";
import { CONDITIONS, type Condition } from "./signals.ts";

/** A task under one condition. */
export interface Staging {
  readonly task: Task;
  readonly condition: Condition;
  readonly scene: Scene;
  /** What the policy is told at the start with this index. */
  instruction(init: number): string;
}

/** Violet: no object of the suites has it. */
const OTHER_COLOUR = [0.55, 0.15, 0.75] as const;

/**
 * Tasks under every condition they can be played in. Without another task in its scene a task has no wrong instruction, and
 * that condition is left out.
 */
export function stagingsOf(
  suite: Suite,
  tasks: readonly Task[],
  roots: { readonly libero: string; readonly robosuite: string },
  move: CameraMove,
): Staging[] {
  const groups = groupByScene(roots, suite.tasks);
  return tasks.flatMap((task) => {
    const mates = groups.find((group) => group.some((one) => one.task === task)) ?? [];
    const own = mates.find((one) => one.task === task);
    if (own === undefined) throw new Error(`stagingsOf: expected a task of ${suite.name}, got ${task.name}`);
    const { scene } = own;
    const others = mates.filter((one) => one.task !== task).map((one) => one.task.instruction);
    const told = () => task.instruction;
    const stage = (condition: Condition): Staging[] => {
      switch (condition) {
        case "as is":
          return [{ task, condition, scene, instruction: told }];
        case "camera":
          return [{ task, condition, scene: moveCamera(scene, "agentview", move), instruction: told }];
        case "colour":
          return [
            { task, condition, scene: recolour(scene, subjectOf(scene), OTHER_COLOUR), instruction: told },
          ];
        case "words":
          return others.length === 0
            ? []
            : [{ task, condition, scene, instruction: (init) => others[init % others.length] }];
      }
    };
    return CONDITIONS.flatMap(stage);
  });
}

/** The object that the first term of the goal is about, itself or by one of its regions. */
function subjectOf({ goal, sites }: Scene): string {
  const [, name] = goal[0];
  return sites.find((site) => site.name === name)?.parent ?? name;
}
