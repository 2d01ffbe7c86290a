/** Suites and tasks of a library root: a folder laid out like a clone of LIBERO. */

import { UsageError } from "../../cli/usage-error.ts";
import { basename, exists, isFolder, join, listFolder, readText, resolve } from "../platform/node.ts";
import { MOST_BDDL_BYTES, parseBddl } from "./bddl.ts";
import { readData } from "./compose/data.ts";
import { checkName } from "./names.ts";
import { baseSuiteOf, LIBERO_SUITES } from "./suite-names.ts";

/** LIBERO-plus's list of its 10,030 tasks has 2 MB. */
const MOST_LIST_BYTES = 2 ** 25;

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
 * LIBERO's own suites, and variants of them such as LIBERO-PRO's `libero_goal_swap`, come in the order of its task map,
 * those of a clone of LIBERO-plus in the order of its list, any other folder of BDDL files in the order of file names.
 *
 * @param root folder that holds `libero/libero/{bddl_files,init_files,assets}`
 * @throws UsageError for a suite that is not there, Error when root or a task's file is missing; both name what is
 */
export function loadSuite(root: string, suite: string): Suite {
  const tasks = listTasks(root, suite);
  for (const path of tasks.flatMap((t) => [t.bddlPath, t.initPath])) {
    if (!exists(path)) throw new Error(`loadSuite: ${suite} lacks ${basename(path)} (looked for ${path})`);
  }
  return { name: suite, tasks };
}

/** The tasks of a suite, also those whose files are still to be made. @throws as `loadSuite`, but for these */
export function listTasks(root: string, suite: string): Task[] {
  const library = resolve(root, "libero", "libero");
  const folders = join(library, "bddl_files");
  if (!isFolder(folders)) throw new Error(`loadSuite: expected suites in ${folders}, found no such folder`);
  const suites = listFolder(folders)
    .filter((f) => isFolder(join(folders, f)))
    .sort();
  if (!suites.includes(suite))
    throw new UsageError(`loadSuite: unknown suite ${suite}; ${folders} has ${suites.join(", ")}`);
  const tasks = plusTasks(library, suite) ?? ownTasks(library, suite);
  if (tasks.length === 0)
    throw new Error(`loadSuite: expected tasks (NAME.bddl) in ${join(folders, suite)}, found none`);
  return tasks;
}

function ownTasks(library: string, suite: string): Task[] {
  const found = filesIn(join(library, "bddl_files", suite));
  const base = baseSuiteOf(suite);
  const listed = base === null ? [] : LIBERO_SUITES[base];
  // A folder that is called like a variant may hold anything.
  const pathOf = (name: string) => join(library, "bddl_files", suite, `${name}.bddl`);
  const names = base === suite || (base && listed.every((name) => found.includes(name))) ? listed : found;
  return names.map((name, index) => ({
    name,
    index,
    // The words of a variant are in its files, and no longer in their names.
    instruction: base === null || base === suite ? instructionOf(name) : languageOf(pathOf(name)),
    bddlPath: pathOf(name),
    initPath: join(library, "init_files", suite, `${name}.pruned_init`),
  }));
}

/**
 * The tasks that a clone of LIBERO-plus (arXiv:2510.13626) has files for; null for a root that is none. An index is the
 * place in its list. Tasks with another camera, arm or sensor have no files: their names say what its Python code is to
 * do (`_view_…_initstate_…_noise_…`), and they are left out.
 */
function plusTasks(library: string, suite: string): Task[] | null {
  const path = join(library, "benchmark", "task_classification.json");
  if (!exists(path)) return null;
  const lists = readData(path, MOST_LIST_BYTES).record((list) => list);
  if (!Object.hasOwn(lists, suite)) return null;
  const names = lists[suite].list((entry) => {
    const { name } = entry.fields(["name"], ["id", "category", "difficulty_level"]);
    return checkName(name.text(), name.who);
  });
  return names.flatMap((name, index): Task[] => {
    if (name.includes("_view_")) return [];
    const bddlPath = join(library, "bddl_files", suite, `${name}.bddl`);
    const scattered = /_add_|_level/.test(name);
    const folder = scattered ? join("libero_newobj", suite) : suite;
    const start = scattered ? name : name.replace(/_(table|tb)_\d+/, "").replace(/_(language|light)_.*$/, "");
    return [
      {
        name,
        index,
        // As its evaluation has it: the others are told their file's name, "… on the plate light 12".
        instruction: name.includes("_language_") ? languageOf(bddlPath) : instructionOf(name),
        bddlPath,
        initPath: join(library, "init_files", folder, `${start}.pruned_init`),
      },
    ];
  });
}

const languageOf = (path: string): string => parseBddl(readText(path, MOST_BDDL_BYTES), path).language;

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

function filesIn(folder: string): string[] {
  return listFolder(folder)
    .filter((f) => f.endsWith(".bddl"))
    .map((f) => f.slice(0, -".bddl".length))
    .sort();
}
