/**
 * Where a reset puts things. LIBERO draws everything from NumPy's one global stream: noise for the arm (drawn, then
 * multiplied by 0), joint values asked for by `:init`, then a place for each object in turn. Objects' places do not
 * outlive the benchmark's `set_init_state`, but they consume draws, so the fixtures' places depend on them.
 */

import type { Problem, Rectangle, Region } from "./bddl.ts";
import type { Range, Rotation } from "./compose/categories.ts";
import { type LoadedObject, objectSite, type Quaternion, rotate, sitePosition } from "./compose/object.ts";
import type { Workspace } from "./compose/workspaces.ts";
import { Mt19937 } from "./mt19937.ts";
import type { FixturePose } from "./scene.ts";

/** `:init` asks for joint values, such as an open drawer. */
interface PropertyDraw {
  readonly joints: readonly string[];
  readonly range: Range;
}

/** One object and the rule that finds its place. */
interface PlaceDraw {
  readonly object: LoadedObject;
  /** Centre of the ranges: the workspace, the top of an object, a site on or in an object. */
  readonly origin:
    | { readonly kind: "workspace" }
    | { readonly kind: "on"; readonly object: string }
    | {
        readonly kind: "site";
        readonly object: LoadedObject;
        readonly site: string;
        readonly inside: boolean;
      };
  readonly ranges: readonly Rectangle[];
  /** Distance that object centres keep from the border of the range, metres. */
  readonly margin: number;
  /** Height above the resting height, metres. */
  readonly rise: number;
  readonly avoidOthers: boolean;
  /** A fixture's yaw is a proper rotation about z; a movable object follows its category. */
  readonly turn: { readonly yaw: Range } | { readonly rotation: Rotation };
}

/** Everything a reset draws, in order. */
export interface PlacementPlan {
  readonly workspace: Workspace;
  readonly properties: readonly PropertyDraw[];
  readonly places: readonly PlaceDraw[];
}

const OBJECT_RISE = 0.01;
const ARM_JOINTS = 7;
const TRIES = 5000;

/** @param who name of the BDDL file, for error messages */
export function planPlacement(
  problem: Problem,
  workspace: Workspace,
  objects: ReadonlyMap<string, LoadedObject>,
  who: string,
): PlacementPlan {
  const regions = new Map(problem.regions.map((r) => [r.name, r]));
  const object = (name: string): LoadedObject => {
    const found = objects.get(name);
    if (found === undefined) throw new Error(`${who}: :init names ${name}, which is no object or fixture`);
    return found;
  };
  const properties: PropertyDraw[] = [];
  const onWorkspace: PlaceDraw[] = [];
  const onSites: PlaceDraw[] = [];
  const inSites: PlaceDraw[] = [];
  const onObjects: PlaceDraw[] = [];

  for (const [predicate, subject, support] of problem.init) {
    const region = regions.get(support);
    if (predicate === "on" && objects.get(support)?.facts.kind === "object") {
      onObjects.push({
        ...movable(object(subject)),
        origin: { kind: "on", object: support },
        ranges: [[0, 0, 0, 0]],
        margin: 0,
        rise: OBJECT_RISE,
        avoidOthers: false,
      });
    } else if (
      (predicate === "on" || predicate === "in") &&
      region !== undefined &&
      objects.has(region.target)
    ) {
      const draw = placeAtSite(object(subject), object(region.target), region, predicate === "in", who);
      (predicate === "on" ? onSites : inSites).push(draw);
    } else if (predicate === "on" && region !== undefined) {
      if (region.ranges.length === 0) throw new Error(`${who}: region ${region.name} has no (:ranges ...)`);
      onWorkspace.push(placeOnWorkspace(object(subject), region, workspace));
    } else if (
      predicate === "open" ||
      predicate === "close" ||
      predicate === "turnon" ||
      predicate === "turnoff"
    ) {
      properties.push(drawProperty(predicate, subject, regions, objects, who));
    } else {
      throw new Error(`${who}: cannot set up (${[predicate, subject, support].filter(Boolean).join(" ")})`);
    }
  }
  return { workspace, properties, places: [...onWorkspace, ...onSites, ...inSites, ...onObjects] };
}

function movable(object: LoadedObject): Pick<PlaceDraw, "object" | "turn"> {
  return { object, turn: { rotation: object.rotation } };
}

function placeOnWorkspace(object: LoadedObject, region: Region, workspace: Workspace): PlaceDraw {
  const { ranges } = region;
  const origin = { kind: "workspace" } as const;
  return object.facts.kind === "fixture"
    ? {
        object,
        origin,
        ranges,
        margin: 0,
        rise: workspace.fixtureRise,
        avoidOthers: false,
        turn: { yaw: region.yaw },
      }
    : {
        ...movable(object),
        origin,
        ranges,
        margin: workspace.keepInside ? object.radius : 0,
        rise: OBJECT_RISE,
        avoidOthers: true,
      };
}

/** On a site: within half of its half sizes. In a site: at its centre. */
function placeAtSite(
  object: LoadedObject,
  target: LoadedObject,
  region: Region,
  inside: boolean,
  who: string,
): PlaceDraw {
  const site = objectSite(target, region.name);
  if (site === undefined) throw new Error(`${who}: ${target.facts.category} has no site ${region.site}`);
  const [x, y] = inside ? [0, 0] : [site.size[0] / 2, site.size[1] / 2];
  return {
    ...movable(object),
    origin: { kind: "site", object: target, site: region.name, inside },
    ranges: [[-x, -y, x, y]],
    margin: inside ? 0 : object.radius,
    rise: 0,
    avoidOthers: true,
  };
}

function drawProperty(
  state: "open" | "close" | "turnon" | "turnoff",
  subject: string,
  regions: ReadonlyMap<string, Region>,
  objects: ReadonlyMap<string, LoadedObject>,
  who: string,
): PropertyDraw {
  const whole = objects.get(subject);
  const owner = whole ?? objects.get(regions.get(subject)?.target ?? "");
  const joints = whole?.facts.joints ?? (owner && objectSite(owner, subject)?.joints);
  const range = owner?.facts.articulation?.[state];
  if (range === undefined || !joints) throw new Error(`${who}: nothing known about ${state} of ${subject}`);
  return { joints, range };
}

/** No place found for an object within the allowed number of tries. */
class Crowded extends Error {}

interface Placed {
  readonly object: LoadedObject;
  readonly pos: readonly [number, number, number];
  readonly quat: Quaternion;
}

/**
 * Poses of one reset, by name: objects and fixtures, in the world frame.
 *
 * @param seed of the whole stream, an integer in [0, 2³²)
 * @param resets how many resets came before this one since the environment was made and seeded
 */
export function samplePlacements(
  plan: PlacementPlan,
  seed: number,
  resets: number,
): ReadonlyMap<string, FixturePose> {
  const rng = new Mt19937(seed);
  // The reference appends its property samplers to one list whenever it loads the model, and never clears it: making
  // the environment loads once, every reset (and every retry of a reset) once more.
  let loads = 1;
  for (let done = 0; ; ) {
    loads++;
    for (let i = 0; i < ARM_JOINTS; i++) rng.gauss();
    const joints = new Map<string, number>();
    for (let i = 0; i < loads; i++) {
      for (const { joints: names, range } of plan.properties) {
        const value = rng.uniform(...range);
        for (const name of names) joints.set(name, value);
      }
    }
    const placed = new Map<string, Placed>();
    try {
      for (const draw of plan.places)
        placed.set(draw.object.facts.name, place(draw, plan.workspace, placed, joints, rng));
    } catch (error) {
      if (error instanceof Crowded) continue;
      throw error;
    }
    if (done++ === resets) return placed;
  }
}

function place(
  draw: PlaceDraw,
  workspace: Workspace,
  placed: ReadonlyMap<string, Placed>,
  joints: ReadonlyMap<string, number>,
  rng: Mt19937,
): Placed {
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
  throw new Crowded(`no place for ${object.facts.name} in ${TRIES} tries`);
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
  const support = placed.get(name);
  if (support === undefined) throw new Error(`placement: ${name} carries an object but has no place itself`);
  const [x, y, z] = support.pos;
  const top: readonly number[] = [x, y, z + support.object.top];
  if (origin.kind === "on") return [top, [0, 0, 0]];
  // "On" a site counts the top of the object as well as the height of the site, as the reference does.
  const offset = rotate(support.quat, sitePosition(origin.object, origin.site, joints));
  return [origin.inside ? support.pos : top, offset];
}

/** wxyz. */
function turned(turn: PlaceDraw["turn"], rng: Mt19937): Quaternion {
  if ("yaw" in turn) {
    const half = drawAngle(turn.yaw, rng) / 2;
    return [Math.cos(half), 0, 0, Math.sin(half)];
  }
  // The reference writes (x, y, z, w) where the simulator reads (w, x, y, z).
  const axes = { x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] } as const;
  let q: Quaternion | null = null;
  for (const [axis, angles] of turn.rotation) {
    const half = drawAngle(angles, rng) / 2;
    const s = Math.sin(half);
    const [x, y, z] = axes[axis];
    const next: Quaternion = [s * x, s * y, s * z, Math.cos(half)];
    q = q === null ? next : multiplyXyzw(next, q);
  }
  if (q === null) throw new Error("placement: a category needs at least one rotation");
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
