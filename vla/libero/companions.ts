import { readText } from "../../core/index.ts";
import { MOST_BDDL_BYTES, type Problem, parseBddl } from "./bddl.ts";
import type { Term } from "./scene.ts";
import type { Task } from "./suites.ts";

/** Another task that the same start could be played for. */
export interface Companion {
  readonly task: Task;
  readonly goal: readonly Term[];
}

/**
 * The companions of each task: those with the same regions, fixtures, objects and `:init`, beginning with the one that
 * comes next in the list. One whose goal includes the task's own is none: doing it cannot be told from doing both.
 *
 * @param tasks as a rule all of a suite.
 */
export function companionsOf(tasks: readonly Task[]): ReadonlyMap<Task, readonly Companion[]> {
  const known = tasks.map((task) => {
    const problem = parseBddl(readText(task.bddlPath, MOST_BDDL_BYTES), task.bddlPath);
    return { task, scene: sceneOf(problem), goal: problem.goal };
  });
  return new Map(
    known.map(({ task, scene, goal }, i) => {
      const others = [...known.slice(i + 1), ...known.slice(0, i)];
      return [task, others.filter((other) => other.scene === scene && !includes(other.goal, goal))];
    }),
  );
}

/** Equal for equal scenes. */
function sceneOf({ name, regions, fixtures, objects, init }: Problem): string {
  return JSON.stringify([name, regions, fixtures, objects, init]);
}

function includes(goal: readonly Term[], part: readonly Term[]): boolean {
  const terms = new Set(goal.map((term) => term.join(" ")));
  return part.every((term) => terms.has(term.join(" ")));
}
