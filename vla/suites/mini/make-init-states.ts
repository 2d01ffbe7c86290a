/**
 * Samples the embedded suite's initial states: for each task 50 rows of time, qpos, qvel, as LIBERO's files hold them.
 *
 *   npx tsx vla/suites/mini/make-init-states.ts
 *
 * The files under LIBERO/libero/libero/init_files/mini are the output of this script and nothing else. Run it again
 * after a change of a BDDL file, of an object's extent or of the order of joints.
 */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain } from "../../../cli/index.ts";
import { makeFolder } from "../../../core/index.ts";
import { HOME } from "../../libero/compose/robot.ts";
import { composeScene, placementPlanOf } from "../../libero/compose/scene.ts";
import { writeInitStates } from "../../libero/init-states-writer.ts";
import { Mt19937 } from "../../libero/mt19937.ts";
import { samplePlacements } from "../../libero/placement.ts";
import { ARM_JOINTS, FINGER_JOINTS } from "../../libero/robot.ts";
import { Sim } from "../../libero/sim.ts";
import { instructionOf, type Task } from "../../libero/suites.ts";
import { MINI, miniRoots } from "./roots.ts";

const ROWS = 50;
/** Spread of each arm joint about its home angle, radians: robosuite's default for a reset with noise. */
const ARM_SPREAD = 0.02;
/** Where a drawer stands of which `:init` says nothing, metres: as far from open as from shut, or nearly. */
const HALF_OPEN = [-0.11, -0.07] as const;

/**
 * Initial states of one task, each `[time, qpos, qvel]`; row i follows from the task's scene and i alone, so tasks of one
 * scene start alike. The suite's files hold rows 0 to 49; later ones are as many other starts, for demonstrations, as one likes.
 */
export async function sampleInitStates(task: Task, first = 0, count: number = ROWS): Promise<Float64Array[]> {
  const from = { ...miniRoots, task };
  const scene = composeScene(from);
  const plan = placementPlanOf(from);
  const [movable, fixed] = (["object", "fixture"] as const).map((kind) =>
    scene.objects.filter((object) => object.kind === kind),
  );
  const asked = new Map(
    plan.properties.flatMap(({ joints, range }) => joints.map((joint) => [joint, range])),
  );

  using sim = await Sim.open(scene, { cacheFolder: null });
  return Array.from({ length: count }, (_, i) => {
    const row = first + i;
    const poses = samplePlacements(plan, row, 0);
    // A stream of its own: the placement's is spent inside.
    const random = new Mt19937(1_000_000 + row);
    const state = new Float64Array(1 + sim.nq + sim.nv);
    const qpos = state.subarray(1, 1 + sim.nq);

    ARM_JOINTS.forEach((joint, j) => {
      qpos[sim.qposAddress(joint)] = HOME.arm[j] + ARM_SPREAD * random.gauss();
    });
    FINGER_JOINTS.forEach((joint, j) => {
      qpos[sim.qposAddress(joint)] = HOME.fingers[j];
    });
    for (const { name, joints } of movable) {
      const { pos, quat } = poses.get(name)!;
      qpos.set([...pos, ...quat], sim.qposAddress(joints[0]));
    }
    for (const joint of fixed.flatMap(({ joints }) => joints))
      qpos[sim.qposAddress(joint)] = random.uniform(...(asked.get(joint) ?? HALF_OPEN));
    return state;
  });
}

/** The suite's tasks, also those whose initial states are still to be made. */
async function tasksOfBddlFiles(): Promise<Task[]> {
  const library = join(miniRoots.libero, "libero", "libero");
  const folder = join(library, "bddl_files", MINI);
  const names = (await readdir(folder)).filter((file) => file.endsWith(".bddl")).sort();
  return names.map((file, index) => {
    const name = file.slice(0, -".bddl".length);
    return {
      name,
      index,
      instruction: instructionOf(name),
      bddlPath: join(folder, file),
      initPath: join(library, "init_files", MINI, `${name}.pruned_init`),
    };
  });
}

const cli = {
  usage: "npx tsx vla/suites/mini/make-init-states.ts [--out FOLDER]",
  description: `Samples ${ROWS} initial states of each task of the embedded suite.`,
  options: { out: { type: "string", help: "where to write; default: the suite's own init_files" } },
} as const satisfies CliSchema;

async function main(): Promise<void> {
  const { out } = parseCli(cli, process.argv.slice(2));
  for (const task of await tasksOfBddlFiles()) {
    const path = out === undefined ? task.initPath : join(out, `${task.name}.pruned_init`);
    makeFolder(dirname(path));
    writeInitStates(path, await sampleInitStates(task));
    console.log(path);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
