/** Samples initial states for a suite of one's own: `npx tsx vla/make-starts.ts --help`. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { makeFolder } from "../core/index.ts";
import { CLONE_OPTIONS, findRoots } from "./eval/options.ts";
import { writeInitStates } from "./libero/init-states-writer.ts";
import { sampleInitStates } from "./libero/sample-init-states.ts";
import { listTasks } from "./libero/suites.ts";

const schema = {
  usage: "npx tsx vla/make-starts.ts --suite NAME [options]",
  description:
    "Writes init_files/SUITE/TASK.pruned_init for each task of a suite that has none: things where :init has them, the arm\n" +
    "near home, joints of which :init says nothing at 0. See docs/suites.md.",
  options: {
    suite: { type: "string", help: "a folder of bddl_files" },
    rows: { type: "integer", least: 1, default: 50, help: "initial states per task" },
    ...CLONE_OPTIONS,
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { suite, rows, ...given } = parseCli(schema, process.argv.slice(2));
  if (suite === undefined) throw new UsageError("expected --suite, a folder of bddl_files");
  const roots = findRoots({ ...given, suite }, process.env);
  for (const task of listTasks(roots.libero, suite)) {
    if (existsSync(task.initPath)) continue;
    const states = await sampleInitStates({ ...roots, task }, { first: 0, count: rows, unasked: [0, 0] });
    makeFolder(dirname(task.initPath));
    writeInitStates(task.initPath, states);
    console.log(task.initPath);
  }
});
