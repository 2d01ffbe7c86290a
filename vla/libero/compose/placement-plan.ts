/** Reads `:init`: which joint values and which places a reset has to draw, and in which order. */

import type { Problem, Rectangle, Region } from "../bddl.ts";
import type { Range, Rotation } from "./categories.ts";
import { type LoadedObject, objectSite } from "./object.ts";
import type { Workspace } from "./workspaces.ts";

/** `:init` asks for joint values, such as an open drawer. */
export interface PropertyDraw {
  readonly joints: readonly string[];
  readonly range: Range;
}

/** One object and the rule that finds its place. */
export interface PlaceDraw {
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

const STATES = ["open", "close", "turnon", "turnoff"] as const;
type State = (typeof STATES)[number];

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
    } else if (isState(predicate)) {
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

function isState(predicate: string): predicate is State {
  return (STATES as readonly string[]).includes(predicate);
}

/** Joints of a whole object, or of the one part that holds the region. */
function drawProperty(
  state: State,
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
