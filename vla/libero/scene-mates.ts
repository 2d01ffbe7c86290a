import { composeScene } from "./compose/scene.ts";
import type { Scene } from "./scene.ts";
import type { Task } from "./suites.ts";

/** A task with its composed scene. */
export interface SceneTask {
  readonly task: Task;
  readonly scene: Scene;
}

/** Tasks by the scene they are played in: those whose models are the same, so that a picture of one serves all. */
export function groupByScene(
  roots: { readonly libero: string; readonly robosuite: string },
  tasks: readonly Task[],
): SceneTask[][] {
  const groups = new Map<string, SceneTask[]>();
  for (const task of tasks) {
    const scene = composeScene({ ...roots, task });
    groups.set(scene.mjcf, [...(groups.get(scene.mjcf) ?? []), { task, scene }]);
  }
  return [...groups.values()];
}
