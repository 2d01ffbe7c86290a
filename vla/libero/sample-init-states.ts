import type { Range } from "./compose/categories.ts";
import { HOME } from "./compose/robot.ts";
import { composeScene, resetDrawsOf, type TaskFiles } from "./compose/scene.ts";
import { Mt19937 } from "./mt19937.ts";
import { samplePlacements } from "./placement.ts";
import { ARM_JOINTS, FINGER_JOINTS } from "./robot.ts";
import { Sim } from "./sim.ts";

/** Spread of each arm joint about its home angle, radians: robosuite's default for a reset with noise. */
const ARM_SPREAD = 0.02;

/**
 * Initial states of a task, each `[time, qpos, qvel]`: things where `:init` has them, the arm near home. Row i follows
 * from the task's scene and i alone, so tasks of one scene start alike.
 *
 * @param unasked where joints of fixtures stand of which `:init` says nothing: from and to.
 */
export async function sampleInitStates(
  from: TaskFiles,
  { first, count, unasked }: { readonly first: number; readonly count: number; readonly unasked: Range },
): Promise<Float64Array[]> {
  const scene = composeScene(from);
  const draws = resetDrawsOf(from);
  const [movable, fixed] = (["object", "fixture"] as const).map((kind) =>
    scene.objects.filter((object) => object.kind === kind),
  );
  const asked = new Map(
    draws.properties.flatMap(({ joints, range }) => joints.map((joint) => [joint, range])),
  );

  using sim = await Sim.open(scene, { cacheFolder: null });
  return Array.from({ length: count }, (_, i) => {
    const row = first + i;
    const poses = samplePlacements(draws, row, 0);
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
      qpos[sim.qposAddress(joint)] = random.uniform(...(asked.get(joint) ?? unasked));
    return state;
  });
}
