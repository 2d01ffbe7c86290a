/** Reads `:init`: which joint values and which places a reset has to draw, and in which order. */

import { FormatError } from "../../../core/index.ts";
import type { Problem, Rectangle, Region } from "../bddl.ts";
import type { Term } from "../scene.ts";
import type { Range, Rotation } from "./categories.ts";
import { type LoadedObject, objectSite, sitePosition } from "./object.ts";
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
export interface ResetDraws {
  /** Name of the BDDL file, for error messages. */
  readonly who: string;
  readonly workspace: Workspace;
  readonly properties: readonly PropertyDraw[];
  readonly places: readonly PlaceDraw[];
}

const OBJECT_RISE = 0.01;

const STATES = ["open", "close", "turnon", "turnoff"] as const;
type State = (typeof STATES)[number];

/**
 * @param who name of the BDDL file, for error messages
 * @throws FormatError for a term that names nothing of the scene or asks for what cannot be set up, a thing placed
 *   twice or on one that has no place yet, a fixture without a place
 */
export function readResetDraws(
  problem: Problem,
  workspace: Workspace,
  objects: ReadonlyMap<string, LoadedObject>,
  who: string,
): ResetDraws {
  const regions = new Map(problem.regions.map((r) => [r.name, r]));
  const properties: PropertyDraw[] = [];
  const onWorkspace: PlaceDraw[] = [];
  const onSites: PlaceDraw[] = [];
  const inSites: PlaceDraw[] = [];
  const onObjects: PlaceDraw[] = [];

  for (const term of problem.init) {
    const [predicate, subject, support] = term;
    const where = `${who}: (:init (${term.join(" ")}))`;
    requireArity(term, where);
    if (isState(predicate)) {
      properties.push(drawProperty(predicate, subject, regions, objects, where));
      continue;
    }
    const object = objects.get(subject);
    if (object === undefined) throw new FormatError(where, "an object or fixture of the scene", subject);
    const region = regions.get(support);
    const target = region && objects.get(region.target);
    if (predicate === "on" && objects.get(support)?.facts.kind === "object") {
      onObjects.push({
        ...movable(object),
        origin: { kind: "on", object: support },
        ranges: [[0, 0, 0, 0]],
        margin: 0,
        rise: OBJECT_RISE,
        avoidOthers: false,
      });
    } else if (target !== undefined) {
      const draw = placeAtSite(object, target, region!, predicate === "in", where);
      (predicate === "on" ? onSites : inSites).push(draw);
    } else if (predicate === "on" && region !== undefined) {
      requireRanges(region, where);
      onWorkspace.push(placeOnWorkspace(object, region, workspace));
    } else {
      const expected =
        predicate === "on" ? "a movable object or a region of the scene" : "a site of the scene";
      throw new FormatError(where, expected, support);
    }
  }
  const places = [...onWorkspace, ...onSites, ...inSites, ...onObjects];
  checkPlaces(places, [...objects.values()], who);
  return { who, workspace, properties, places };
}

function requireArity([predicate, ...names]: Term, where: string): void {
  const arity = predicate === "on" || predicate === "in" ? 2 : isState(predicate) ? 1 : null;
  if (arity === null) throw new FormatError(where, `one of on, in, ${STATES.join(", ")}`, predicate);
  if (names.length !== arity)
    throw new FormatError(where, `${arity} argument${arity > 1 ? "s" : ""}`, `${names.length}`);
}

/** @throws FormatError for a region of the workspace without area, in which nothing can lie. */
export function requireRanges({ name, ranges }: Region, who: string): void {
  if (ranges.length === 0) throw new FormatError(`${who}: region ${name}`, "(:ranges ...)", "none");
  const flat = ranges.find(([x0, y0, x1, y1]) => !(x0 < x1 && y0 < y1));
  if (flat !== undefined)
    throw new FormatError(`${who}: region ${name}`, "x0 < x1 and y0 < y1", `(${flat.join(" ")})`);
}

/** In the order of drawing each thing gets one place, on something that has one. */
function checkPlaces(places: readonly PlaceDraw[], objects: readonly LoadedObject[], who: string): void {
  const placed = new Set<string>();
  for (const { object, origin } of places) {
    const { name } = object.facts;
    if (placed.has(name)) throw new FormatError(`${who}: (:init ...)`, `one place for ${name}`, "two");
    const below =
      origin.kind === "workspace" ? null : origin.kind === "on" ? origin.object : origin.object.facts.name;
    if (below !== null && !placed.has(below))
      throw new FormatError(
        `${who}: (:init ...)`,
        `a place for ${below} before ${name} is put there`,
        "none",
      );
    placed.add(name);
  }
  const lost = objects.find(({ facts }) => facts.kind === "fixture" && !placed.has(facts.name));
  if (lost !== undefined)
    throw new FormatError(`${who}: (:init ...)`, `a place for fixture ${lost.facts.name}`, "none");
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
  const site = objectSite(target, region.name, who);
  sitePosition(target, region.name, new Map()); // a reset will ask for it
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
  const owner = objects.get(subject) ?? objects.get(regions.get(subject)?.target ?? "");
  if (owner === undefined) throw new FormatError(who, "an object, fixture or site of the scene", subject);
  const joints = objects.has(subject) ? owner.facts.joints : objectSite(owner, subject, who).joints!;
  const range = owner.facts.articulation?.[state];
  if (range === undefined || joints.length === 0)
    throw new FormatError(who, `a thing with joints that ${state}`, `${subject} (${owner.facts.category})`);
  return { joints, range };
}
