import { companionsOf } from "../libero/companions.ts";
import { composeScene } from "../libero/compose/scene.ts";
import { type CameraMove, moveCamera, recolour } from "../libero/disturb.ts";
import type { Scene } from "../libero/scene.ts";
import type { Suite, Task } from "../libero/suites.ts";
import { CONDITIONS, type Condition } from "./signals.ts";

/** A task under one condition. */
export interface Staging {
  readonly task: Task;
  readonly condition: Condition;
  readonly scene: Scene;
  /** The task whose words the policy is told at the start with this index. */
  told(init: number): Task;
}

/** Violet: no object of the suites has it. */
const OTHER_COLOUR = [0.55, 0.15, 0.75] as const;

/**
 * Tasks under every condition they can be played in. One that shares its scene with no task of another goal has no
 * wrong instruction, and that condition is left out.
 */
export function stagingsOf(
  suite: Suite,
  tasks: readonly Task[],
  roots: { readonly libero: string; readonly robosuite: string },
  move: CameraMove,
): Staging[] {
  const companions = companionsOf(suite.tasks);
  return tasks.flatMap((task) => {
    const scene = composeScene({ ...roots, task });
    const others = companions.get(task) ?? [];
    const told = () => task;
    const stage = (condition: Condition): Staging[] => {
      switch (condition) {
        case "as is":
          return [{ task, condition, scene, told }];
        case "camera":
          return [{ task, condition, scene: moveCamera(scene, "agentview", move), told }];
        case "colour":
          return [{ task, condition, scene: recolour(scene, subjectOf(scene), OTHER_COLOUR), told }];
        case "words":
          return others.length === 0
            ? []
            : [{ task, condition, scene, told: (init) => others[init % others.length].task }];
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
