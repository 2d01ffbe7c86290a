import { relative, sep } from "node:path";
import type { DemonstrationHeader } from "../data/libero-hdf5-writer.ts";
import { parseBddl } from "../libero/bddl.ts";
import type { Task } from "../libero/suites.ts";

/**
 * What a demonstration file says of its task.
 * @param root the library root that the task's files lie in; their names are given relative to it.
 */
export function demonstrationHeader(
  task: Task,
  root: string,
  bddl: string,
  imageSize: number,
): DemonstrationHeader {
  const { name } = parseBddl(bddl, task.bddlPath);
  return {
    environment: name.split("_").map(capitalised).join("_"),
    problem: name,
    instruction: task.instruction,
    bddl: { path: relative(root, task.bddlPath).split(sep).join("/"), text: bddl },
    imageSize,
  };
}

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
