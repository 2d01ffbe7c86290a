import { basename } from "node:path";
import { readText } from "../../core/index.ts";
import { type Instance, MOST_BDDL_BYTES, type Problem, parseBddl, type Rectangle } from "../libero/bddl.ts";
import type { LoadedObject } from "../libero/compose/object.ts";
import { EnvError } from "../libero/env-error.ts";
import type { Mt19937 } from "../libero/mt19937.ts";
import { turned } from "../libero/placement.ts";
import type { FixturePose } from "../libero/scene.ts";
import type { Suite, Task } from "../libero/suites.ts";
import { LEVELS, type Level } from "./dimensions.ts";

/** Tries for the place of one object. */
const TRIES = 500;
/** Above where they would rest, metres, as LIBERO puts its objects. */
const RISE = 0.01;

/**
 * What lies about that has no business there: one object per level, as in LIBERO-plus, of the kinds that the suite's
 * tasks in this workspace have and that this task does not speak of. A higher level has those of the lower ones too.
 *
 * @throws EnvError where the suite has no such kind
 */
export function chooseDistractors(
  { name, tasks }: Suite,
  task: Task,
  problem: Problem,
  level: Level,
  draws: Mt19937,
): Instance[] {
  const named = [...problem.objects, ...problem.fixtures].filter((each) =>
    problem.interest.includes(each.name),
  );
  const spoken = new Set(named.map(({ category }) => category));
  const kinds = new Set(
    tasks
      .map(({ bddlPath }) => parseBddl(readText(bddlPath, MOST_BDDL_BYTES), bddlPath))
      .filter((other) => other.name === problem.name)
      .flatMap((other) => other.objects.map(({ category }) => category))
      .filter((category) => !spoken.has(category)),
  );
  if (kinds.size === 0)
    throw new EnvError(
      `distractors of ${basename(task.bddlPath)}`,
      `objects in ${name} that the task does not speak of`,
      "none",
    );
  const order = shuffled([...kinds].sort(), draws);
  return LEVELS.slice(0, level).map((i) => ({
    name: `distractor_${i}`,
    category: order[(i - 1) % order.length],
  }));
}

function shuffled<T>(items: readonly T[], draws: Mt19937): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = draws.integer(i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** Something that stands where nothing else can, metres. */
export interface Occupied {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/**
 * A place for each object, in turn, apart from all that is there.
 *
 * @param room in the world frame, metres.
 * @param height of the workspace.
 * @returns null where one finds no place.
 */
export function placeDistractors(
  objects: readonly LoadedObject[],
  room: Rectangle,
  height: number,
  occupied: readonly Occupied[],
  draws: Mt19937,
): FixturePose[] | null {
  const taken = [...occupied];
  const poses: FixturePose[] = [];
  for (const { radius, bottom, rotation } of objects) {
    const spot = findSpot(room, radius, taken, draws);
    if (spot === null) return null;
    taken.push({ ...spot, radius });
    poses.push({
      pos: [spot.x, spot.y, height + RISE - bottom],
      quat: turned({ rotation }, draws),
    });
  }
  return poses;
}

function findSpot(
  [x0, y0, x1, y1]: Rectangle,
  radius: number,
  taken: readonly Occupied[],
  draws: Mt19937,
): { readonly x: number; readonly y: number } | null {
  for (let i = 0; i < TRIES; i++) {
    const [x, y] = [draws.uniform(x0, x1), draws.uniform(y0, y1)];
    if (taken.every((other) => Math.hypot(x - other.x, y - other.y) > radius + other.radius)) return { x, y };
  }
  return null;
}
