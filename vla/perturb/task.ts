import { readText } from "../../core/index.ts";
import { MOST_BDDL_BYTES, parseBddl, type Rectangle } from "../libero/bddl.ts";
import { companionsOf } from "../libero/companions.ts";
import type { LoadedObject } from "../libero/compose/object.ts";
import { composeScene, objectsOf, resetDrawsOf, type TaskFiles } from "../libero/compose/scene.ts";
import type { Scene } from "../libero/scene.ts";
import type { Suite } from "../libero/suites.ts";
import type { Levels } from "./dimensions.ts";
import { chooseDistractors } from "./distractors.ts";
import { drawsOf } from "./draws.ts";
import { groupsOf } from "./position.ts";

/** Beyond the regions of the task, where distractors may lie too, metres. */
const BESIDE = 0.08;

/** A task under perturbations: what is the same in all its episodes. */
export interface PerturbedTask {
  readonly levels: Levels;
  /** With the distractors, behind the task's own objects. */
  readonly scene: Scene;
  /** All objects and fixtures of the scene, with their sizes. */
  readonly objects: readonly LoadedObject[];
  readonly distractors: readonly LoadedObject[];
  /** What moves as one, by name. */
  readonly groups: readonly (readonly string[])[];
  /** Where distractors may lie, in the world frame, metres. */
  readonly room: Rectangle;
  /** Of the workspace, metres. */
  readonly height: number;
  /** Instructions of other tasks, where one is to be told: of the scene, if it has some, and otherwise of the suite. */
  readonly others: readonly string[];
}

/** @param seed the run's: with it goes the choice of distractors. */
export function perturbTask(from: TaskFiles, suite: Suite, levels: Levels, seed: number): PerturbedTask {
  const { task } = from;
  const problem = parseBddl(readText(task.bddlPath, MOST_BDDL_BYTES), task.bddlPath);
  const draws = drawsOf("distractors", { seed, suite: suite.name, task: task.name, init: -1 });
  const extra = levels.distractors ? chooseDistractors(suite, task, problem, levels.distractors, draws) : [];
  const scattered = { ...from, extra };
  const objects = objectsOf(scattered);
  const resets = resetDrawsOf(scattered);
  const [ox, oy, height] = resets.workspace.offset;
  const ranges = resets.places
    .filter(({ origin }) => origin.kind === "workspace")
    .flatMap((place) => place.ranges);
  const names = new Set(extra.map(({ name }) => name));
  return {
    levels,
    scene: composeScene(scattered),
    objects,
    distractors: objects.filter(({ facts }) => names.has(facts.name)),
    groups: groupsOf(resets, problem.interest),
    room: [
      Math.min(...ranges.map(([x0]) => x0)) + ox - BESIDE,
      Math.min(...ranges.map(([, y0]) => y0)) + oy - BESIDE,
      Math.max(...ranges.map(([, , x1]) => x1)) + ox + BESIDE,
      Math.max(...ranges.map(([, , , y1]) => y1)) + oy + BESIDE,
    ],
    height,
    others: levels.language === 4 ? otherInstructions(suite, from) : [],
  };
}

function otherInstructions({ tasks }: Suite, { task }: TaskFiles): string[] {
  const companions = companionsOf(tasks).get(task) ?? [];
  const others = companions.length > 0 ? companions.map((each) => each.task) : tasks;
  return others.map(({ instruction }) => instruction).filter((each) => each !== task.instruction);
}
