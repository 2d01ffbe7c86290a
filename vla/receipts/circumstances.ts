import { differences } from "../differences.ts";
import type { Manifest } from "../eval/manifest.ts";

/** What recorded actions lead to depends on these: the simulator, the tasks, and how episodes begin and end. */
function circumstancesOf({ version, run, protocol, maxSteps, tasks }: Manifest) {
  // How much of a chunk plays while the next is made decides which actions there are, not where they lead.
  const { overlap: _, ...rules } = protocol;
  return { version, engine: run.engine, protocol: rules, maxSteps, tasks: digestsOf(tasks) };
}

/** SHA-256 of all that each task is read from; conditions share it. */
export const digestsOf = (tasks: Manifest["tasks"]): Record<string, string> =>
  Object.fromEntries(tasks.map(({ task, digest }) => [task, digest]));

/**
 * Where the circumstances of a record are others than here, of tasks that both have: `engine.node: "20.19.0", and
 * "22.1.0"`, one line each.
 */
export function differingCircumstances(recorded: Manifest, here: Manifest): string[] {
  const both = recorded.tasks.filter(({ task }) => here.tasks.some((other) => other.task === task));
  return differences(circumstancesOf({ ...recorded, tasks: both }), circumstancesOf(here));
}
