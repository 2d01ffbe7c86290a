/** Suites and tasks of a library root: a folder laid out like a clone of LIBERO. */

import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UsageError } from "../../cli/index.ts";
import { LIBERO_SUITES } from "./suite-names.ts";

export interface Task {
  /** Name of its files, without ending. */
  readonly name: string;
  /** Position in the suite. */
  readonly index: number;
  /** What a policy is told. */
  readonly instruction: string;
  readonly bddlPath: string;
  readonly initPath: string;
}

export interface Suite {
  readonly name: string;
  readonly tasks: readonly Task[];
}

/**
 * LIBERO's own suites come in the order of its task map, any other folder of BDDL files in the order of file names.
 *
 * @param root folder that holds `libero/libero/{bddl_files,init_files,assets}`
 * @throws UsageError for a suite that is not there, Error when root or a task's file is missing; both name what is
 */
export function loadSuite(root: string, suite: string): Suite {
  const library = resolve(root, "libero", "libero");
  const folders = join(library, "bddl_files");
  if (!isFolder(folders)) throw new Error(`loadSuite: expected suites in ${folders}, found no such folder`);
  const suites = readdirSync(folders)
    .filter((f) => isFolder(join(folders, f)))
    .sort();
  if (!suites.includes(suite))
    throw new UsageError(`loadSuite: unknown suite ${suite}; ${folders} has ${suites.join(", ")}`);

  const folder = join(folders, suite);
  const names = Object.hasOwn(LIBERO_SUITES, suite) ? LIBERO_SUITES[suite] : filesIn(folder);
  if (names.length === 0) throw new Error(`loadSuite: expected tasks (NAME.bddl) in ${folder}, found none`);
  const tasks = names.map(
    (name, index): Task => ({
      name,
      index,
      instruction: instructionOf(name),
      bddlPath: join(folder, `${name}.bddl`),
      initPath: join(library, "init_files", suite, `${name}.pruned_init`),
    }),
  );
  for (const path of tasks.flatMap((t) => [t.bddlPath, t.initPath])) {
    if (!existsSync(path))
      throw new Error(`loadSuite: ${suite} lacks ${basename(path)} (looked for ${path})`);
  }
  return { name: suite, tasks };
}

/** A task by its index or its name. @throws UsageError when there is none. */
export function findTask(suite: Suite, task: number | string): Task {
  const found = suite.tasks.find((t) => t.index === task || t.name === task);
  if (found === undefined) {
    const known = suite.tasks.map((t) => `${t.index} ${t.name}`).join("\n  ");
    throw new UsageError(`findTask: ${suite.name} has no task ${task}; it has\n  ${known}`);
  }
  return found;
}

/** Several tasks in the order asked for. @throws UsageError for a task that does not exist, or is asked for twice. */
export function findTasks(suite: Suite, tasks: readonly (number | string)[]): Task[] {
  const found = tasks.map((task) => findTask(suite, task));
  const twice = found.find((task, i) => found.indexOf(task) < i);
  if (twice !== undefined)
    throw new UsageError(`findTasks: expected each task once, got ${twice.index} ${twice.name} twice`);
  return found;
}

/** `KITCHEN_SCENE10_close_the_top_drawer` → `close the top drawer`. */
export function instructionOf(name: string): string {
  return name.replace(/^[A-Z].*?SCENE\d+_/, "").replaceAll("_", " ");
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((f) => f.endsWith(".bddl"))
    .map((f) => f.slice(0, -".bddl".length))
    .sort();
}
