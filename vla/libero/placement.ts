/**
 * Where a reset puts things. LIBERO draws everything from NumPy's one global stream: noise for the arm (drawn, then
 * multiplied by 0), joint values asked for by `:init`, then a place for each object in turn. Objects' places do not
 * outlive the benchmark's `set_init_state`, but they consume draws, so the fixtures' places depend on them.
 */

import { FormatError } from "../../core/index.ts";
import type { Range } from "./compose/categories.ts";
import { type LoadedObject, type Quaternion, rotate, sitePosition } from "./compose/object.ts";
import type { PlaceDraw, ResetDraws } from "./compose/reset-draws.ts";
import type { Workspace } from "./compose/workspaces.ts";
import { Mt19937 } from "./mt19937.ts";
import type { FixturePose } from "./scene.ts";

const ARM_JOINTS = 7;
/** Tries for one object, and resets in a row, before giving up. The reference retries a reset for ever. */
const TRIES = 5000;
const RETRIES = 100;
/** Earlier resets that are repeated: their work grows with the square of their number. */
const MOST_RESETS = 10_000;

const AXES = { x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] } as const;

interface Placed {
  readonly object: LoadedObject;
  readonly pos: readonly [number, number, number];
  readonly quat: Quaternion;
}

/**
 * Poses of one reset, by name: objects and fixtures, in the world frame. Follows an environment that is made, seeded
 * and then reset `resets` + 1 times; a reset that finds no place for some object is tried again, as in the reference.
 *
 * @param seed of the whole stream, an integer in [0, 2³²)
 * @param resets how many successful resets came before this one, 10,000 at most
 * @throws FormatError when many resets in a row find no room
 */
export function samplePlacements(
  draws: ResetDraws,
  seed: number,
  resets: number,
): ReadonlyMap<string, FixturePose> {
  if (!Number.isInteger(resets) || resets < 0 || resets > MOST_RESETS)
    throw new Error(`samplePlacements: expected 0 to ${MOST_RESETS} earlier resets, found ${resets}`);
  const rng = new Mt19937(seed);
  // The reference appends its property samplers to one list whenever it loads the model, and never clears it: making
  // the environment loads once, every reset (and every retry of a reset) once more.
  let loads = 1;
  let done = 0;
  for (let failures = 0; failures < RETRIES; ) {
    const placed = reset(draws, ++loads, rng);
    if (placed === null) failures++;
    else if (done++ === resets)
      return new Map([...placed].map(([name, { pos, quat }]) => [name, { pos, quat }]));
    else failures = 0;
  }
  throw new FormatError(`${draws.who}: (:init ...)`, "room for all objects", `none in ${RETRIES} resets`);
}

/** One attempt; null if some object found no place. */
function reset(draws: ResetDraws, loads: number, rng: Mt19937): Map<string, Placed> | null {
  for (let i = 0; i < ARM_JOINTS; i++) rng.gauss();
  const joints = new Map<string, number>();
  for (let i = 0; i < loads; i++) {
    for (const { joints: names, range } of draws.properties) {
      const value = rng.uniform(...range);
      for (const name of names) joints.set(name, value);
    }
  }
  const placed = new Map<string, Placed>();
  for (const draw of draws.places) {
    const found = place(draw, draws.workspace, placed, joints, rng);
    if (found === null) return null;
    placed.set(draw.object.facts.name, found);
  }
  return placed;
}

function place(
  draw: PlaceDraw,
  workspace: Workspace,
  placed: ReadonlyMap<string, Placed>,
  joints: ReadonlyMap<string, number>,
  rng: Mt19937,
): Placed | null {
  const { object, ranges, margin, avoidOthers } = draw;
  const [base, site] = originOf(draw, workspace, placed, joints);
  for (let i = 0; i < TRIES; i++) {
    const [x0, y0, x1, y1] = ranges[rng.integer(ranges.length)];
    const x = rng.uniform(x0 + margin, x1 - margin) + base[0] + site[0];
    const y = rng.uniform(y0 + margin, y1 - margin) + base[1] + site[1];
    const z = draw.rise + base[2] + site[2] - object.bottom;
    const clash = ({ object: other, pos }: Placed): boolean =>
      Math.sqrt((x - pos[0]) ** 2 + (y - pos[1]) ** 2) <= other.radius + object.radius &&
      z - pos[2] <= other.top - object.bottom;
    if (avoidOthers && [...placed.values()].some(clash)) continue;
    return { object, pos: [x, y, z], quat: turned(draw.turn, rng) };
  }
  return null;
}

/** What the ranges are relative to: a base in the world frame, and a site's offset from it. */
function originOf(
  { origin }: PlaceDraw,
  workspace: Workspace,
  placed: ReadonlyMap<string, Placed>,
  joints: ReadonlyMap<string, number>,
): [base: readonly number[], site: readonly number[]] {
  if (origin.kind === "workspace") return [workspace.offset, [0, 0, 0]];
  const name = origin.kind === "on" ? origin.object : origin.object.facts.name;
  const support = placed.get(name)!; // what carries is before what it carries
  const [x, y, z] = support.pos;
  const top: readonly number[] = [x, y, z + support.object.top];
  if (origin.kind === "on") return [top, [0, 0, 0]];
  // "On" a site counts the top of the object as well as the height of the site, as the reference does.
  const offset = rotate(support.quat, sitePosition(origin.object, origin.site, joints));
  return [origin.inside ? support.pos : top, offset];
}

/** How a thing is turned when it is placed, wxyz. */
export function turned(turn: PlaceDraw["turn"], rng: Mt19937): Quaternion {
  if ("yaw" in turn) {
    const half = drawAngle(turn.yaw, rng) / 2;
    return [Math.cos(half), 0, 0, Math.sin(half)];
  }
  // The reference writes (x, y, z, w) where the simulator reads (w, x, y, z).
  let q: Quaternion = [0, 0, 0, 1];
  for (const [axis, angles] of turn.rotation) {
    const half = drawAngle(angles, rng) / 2;
    const [x, y, z] = AXES[axis].map((a) => a * Math.sin(half));
    q = multiplyXyzw([x, y, z, Math.cos(half)], q);
  }
  return q;
}

function drawAngle([low, high]: Range, rng: Mt19937): number {
  return rng.uniform(low, high);
}

/** Product a b of quaternions stored as x, y, z, w. */
function multiplyXyzw([ax, ay, az, aw]: Quaternion, [bx, by, bz, bw]: Quaternion): Quaternion {
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}
