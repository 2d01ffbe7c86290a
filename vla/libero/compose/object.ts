/** One object or fixture: its XML found by category, renamed for the instance, with the facts that placement needs. */

import { FormatError } from "../../../core/index.ts";
import { exists, join, listFolder } from "../../platform/node.ts";
import type { Instance } from "../bddl.ts";
import type { SceneObject, SceneSite } from "../scene.ts";
import { categoryFacts, type Rotation } from "./categories.ts";
import { type AssetRoots, isCollision, prefixNames, readPiece } from "./merge.ts";
import { attributeOrFail, childOrFail, type Element, element, numbers, walk, whereIs } from "./xml.ts";

type Vector = readonly [number, number, number];

export interface LoadedObject {
  readonly facts: SceneObject;
  /** Root body `<name>_main`. */
  readonly body: Element;
  readonly assets: Element;
  readonly rotation: Rotation;
  /** Extent for placement, metres: radius in the plane, lowest (negative) and highest point above the root. */
  readonly radius: number;
  readonly bottom: number;
  readonly top: number;
}

/** Forms of an orientation that MuJoCo knows and placement does not. */
const OTHER_TURNS = ["axisangle", "euler", "xyaxes", "zaxis"];

/** Geom groups: 0 collision, 1 visual. Others are construction aids. */
const KEPT_GROUPS = ["0", "1"];

/** @param who the task's file, for error messages */
export function loadObject(
  { name, category }: Instance,
  kind: SceneObject["kind"],
  roots: AssetRoots,
  who: string,
): LoadedObject {
  const path = findObject(category, roots, who);
  const piece = readPiece(path, roots);
  const outer = childOrFail(piece.worldbody, "body", undefined, path);
  const body = childOrFail(outer, "body", "object", path);
  const marker = (name: string): Vector => {
    const site = childOrFail(outer, "site", name, path);
    attributeOrFail(site, "pos");
    return vector(site, "pos");
  };

  body.attributes.set("name", "main");
  nameGeoms(body);
  for (const e of [body, piece.asset]) prefixNames(e, `${name}_`);
  if (kind === "object") {
    body.children.push(element("joint", { name: `${name}_joint0`, type: "free", damping: "0.0005" }));
  }
  body.children.push(
    element("site", {
      name: `${name}_default_site`,
      pos: "0 0 0",
      size: "0.002 0.002 0.002",
      rgba: "1 0 0 0",
      type: "sphere",
      group: "0",
    }),
  );

  const named = (keep: (e: Element) => boolean): string[] =>
    [...walk(body)].filter(keep).map((e) => attributeOrFail(e, "name"));
  const { articulation, stateSites, rotation } = categoryFacts(category, path);
  // Its free joint would be taken for one that opens.
  if (articulation !== null && kind === "object")
    throw new FormatError(
      `${who}, object ${name}`,
      `${category}, which has joints, among the fixtures`,
      "it among the objects",
    );
  return {
    facts: {
      name,
      kind,
      category,
      rootBody: `${name}_main`,
      joints: named((e) => e.tag === "joint"),
      contactGeoms: named(isCollision),
      articulation,
      stateSites: Object.fromEntries(
        Object.entries(stateSites).map(([role, site]) => [role, `${name}_${site}`]),
      ),
    },
    body,
    assets: piece.asset,
    rotation,
    radius: marker("horizontal_radius_site")[0],
    bottom: marker("bottom_site")[2],
    top: marker("top_site")[2],
  };
}

/** `assets/<folder>/<category>/<category>.xml` or `assets/<folder>/<category>.xml`, whichever folder has it. */
function findObject(category: string, roots: AssetRoots, who: string): string {
  const folders = listFolder(roots.libero).filter((f) => f !== "scenes" && f !== "textures");
  const tried = folders
    .sort()
    .flatMap((f) => [
      join(roots.libero, f, category, `${category}.xml`),
      join(roots.libero, f, `${category}.xml`),
    ]);
  const found = tried.find((path) => exists(path));
  if (found === undefined) {
    throw new FormatError(
      `${who}, object category ${category}`,
      `${category}/${category}.xml or ${category}.xml in a folder of ${roots.libero}`,
      "neither",
    );
  }
  return found;
}

/** Unnamed geoms become g0, g1, ...: the count runs over all geoms of the object. */
function nameGeoms(body: Element): void {
  const geoms = [...walk(body)].filter((e) => e.tag === "geom");
  geoms.forEach((geom, i) => {
    if (!geom.attributes.has("name")) geom.attributes.set("name", `g${i}`);
  });
  for (const parent of walk(body)) {
    const kept = parent.children.filter(
      (e) => e.tag !== "geom" || KEPT_GROUPS.includes(e.attributes.get("group") ?? "0"),
    );
    parent.children.splice(0, parent.children.length, ...kept);
  }
}

/** Three numbers; without the attribute the origin. */
function vector(e: Element, attribute: string): Vector {
  return (numbers(e, attribute, 3) ?? [0, 0, 0]) as unknown as Vector;
}

/**
 * The bodies from the object's root down to the one that holds the site, and the site; undefined if it has no such
 * site.
 */
function pathToSite(body: Element, site: string): Element[] | undefined {
  for (const e of body.children) {
    if (e.tag === "site" && e.attributes.get("name") === site) return [body, e];
    const below = e.tag === "body" ? pathToSite(e, site) : undefined;
    if (below !== undefined) return [body, ...below];
  }
  return undefined;
}

function pathToSiteOrFail(object: LoadedObject, site: string, who: string): Element[] {
  const path = pathToSite(object.body, site);
  if (path === undefined)
    throw new FormatError(
      who,
      `a site ${site.slice(object.facts.name.length + 1)} in ${object.facts.category}`,
      "none",
    );
  return path;
}

/**
 * The object's site as goals see it.
 *
 * @throws FormatError if it has no such site, or one without three half sizes
 */
export function objectSite(object: LoadedObject, name: string, who: string): SceneSite {
  const [holder, site] = pathToSiteOrFail(object, name, who).slice(-2);
  attributeOrFail(site, "size");
  const joints = holder.children.filter((e) => e.tag === "joint" && e.attributes.get("type") !== "free");
  return {
    name,
    parent: object.facts.name,
    size: vector(site, "size"),
    joints: joints.map((e) => attributeOrFail(e, "name")),
  };
}

/**
 * Where a site is, metres, when the object's root is at the origin, unturned.
 *
 * @param values joint name → slide (metres) or angle (radians); 0 for joints not named
 * @throws FormatError if it has no such site, or one in a body whose pose is not given by pos and quat
 */
export function sitePosition(
  object: LoadedObject,
  name: string,
  values: ReadonlyMap<string, number>,
): Vector {
  const path = pathToSiteOrFail(object, name, object.facts.name);
  let at = vector(path.at(-1)!, "pos");
  for (const body of path.slice(0, -1).reverse()) {
    const other = OTHER_TURNS.find((attribute) => body.attributes.has(attribute));
    if (other !== undefined) throw new FormatError(whereIs(body), "its orientation as quat", other);
    for (const joint of body.children.filter((e) => e.tag === "joint").reverse()) {
      const value = values.get(attributeOrFail(joint, "name")) ?? 0;
      const axis = normalise((numbers(joint, "axis", 3) ?? [0, 0, 1]) as unknown as Vector);
      const anchor = vector(joint, "pos");
      if (joint.attributes.get("type") === "slide") at = add(at, axis, value);
      else if (value !== 0) at = add(anchor, rotate(about(axis, value), add(at, anchor, -1)), 1);
    }
    const quat = (numbers(body, "quat", 4) ?? [1, 0, 0, 0]) as unknown as Quaternion;
    // MuJoCo makes it one; hand-written ones may have few digits.
    if (Math.abs(Math.hypot(...quat) - 1) > 0.01)
      throw new FormatError(`${whereIs(body)} quat`, "a quaternion of length 1", `"${quat.join(" ")}"`);
    at = rotate(quat, at);
    at = add(vector(body, "pos"), at, 1);
  }
  return at;
}

/** wxyz, unit length. */
export type Quaternion = readonly [number, number, number, number];

function about(axis: Vector, angle: number): Quaternion {
  const s = Math.sin(angle / 2);
  return [Math.cos(angle / 2), s * axis[0], s * axis[1], s * axis[2]];
}

function add(a: Vector, b: Vector, scale: number): Vector {
  return [a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]];
}

function normalise(v: Vector): Vector {
  const length = Math.hypot(...v);
  return [v[0] / length, v[1] / length, v[2] / length];
}

/** v + 2w (u × v) + 2 u × (u × v), u the vector part of the quaternion. */
export function rotate([w, x, y, z]: Quaternion, [a, b, c]: Vector): Vector {
  const t = [2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)];
  return [
    a + w * t[0] + y * t[2] - z * t[1],
    b + w * t[1] + z * t[0] - x * t[2],
    c + w * t[2] + x * t[1] - y * t[0],
  ];
}
