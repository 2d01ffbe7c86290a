/**
 * Samples the embedded suite's initial states: for each task 50 rows of time, qpos, qvel, as LIBERO's files hold them.
 *
 *   npx tsx vla/suites/mini/make-init-states.ts
 *
 * The files under LIBERO/libero/libero/init_files/mini are the output of this script and nothing else. Run it again
 * after a change of a BDDL file, of an object's extent or of the order of joints.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain } from "../../../cli/index.ts";
import { makeFolder } from "../../../core/index.ts";
import { writeInitStates } from "../../libero/init-states-writer.ts";
import { sampleInitStates as sample } from "../../libero/sample-init-states.ts";
import { listTasks, type Task } from "../../libero/suites.ts";
import { MINI, miniRoots } from "./roots.ts";

const ROWS = 50;
/** Where a drawer stands of which `:init` says nothing, metres: as far from open as from shut, or nearly. */
const HALF_OPEN = [-0.11, -0.07] as const;

/**
 * Initial states of one task: the suite's files hold rows 0 to 49; later ones are as many other starts, for
 * demonstrations, as one likes.
 */
export function sampleInitStates(task: Task, first = 0, count: number = ROWS): Promise<Float64Array[]> {
  return sample({ ...miniRoots, task }, { first, count, unasked: HALF_OPEN });
}

const cli = {
  usage: "npx tsx vla/suites/mini/make-init-states.ts [--out FOLDER]",
  description: `Samples ${ROWS} initial states of each task of the embedded suite.`,
  options: { out: { type: "string", help: "where to write; default: the suite's own init_files" } },
} as const satisfies CliSchema;

async function main(): Promise<void> {
  const { out } = parseCli(cli, process.argv.slice(2));
  for (const task of listTasks(miniRoots.libero, MINI)) {
    const path = out === undefined ? task.initPath : join(out, `${task.name}.pruned_init`);
    makeFolder(dirname(path));
    writeInitStates(path, await sampleInitStates(task));
    console.log(path);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
