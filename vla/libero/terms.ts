import type { Scene, SceneObject, SceneSite, Term } from "./scene.ts";

/** How the joints of a thing are looked at: which values count, and whether one joint is enough. */
export type JointState = "open" | "close" | "turnon" | "turnoff";

/** A term whose names are those of a scene. */
export type ResolvedTerm =
  | { readonly kind: "on object"; readonly object: SceneObject; readonly support: SceneObject }
  /** `owner` is the object the site belongs to; null for a region of the workspace. */
  | {
      readonly kind: "on site";
      readonly object: SceneObject;
      readonly site: SceneSite;
      readonly owner: SceneObject | null;
    }
  | { readonly kind: "in site"; readonly object: SceneObject; readonly site: SceneSite }
  | {
      readonly kind: "joints";
      readonly state: JointState;
      readonly joints: readonly string[];
      readonly range: readonly [number, number];
    };

/** Arguments of each predicate. */
const ARITY = new Map([
  ["on", 2],
  ["in", 2],
  ["open", 1],
  ["close", 1],
  ["turnon", 1],
  ["turnoff", 1],
]);

/**
 * Looks up what a term speaks of. Needs no compiled model, so a goal can be refused before anything is played.
 *
 * @param fail throws for an unknown predicate or name, or a thing the predicate does not apply to
 */
export function resolveTerm(
  { objects, sites }: Pick<Scene, "objects" | "sites">,
  [predicate, ...names]: Term,
  fail: (expected: string, found: string) => never,
): ResolvedTerm {
  const arity = ARITY.get(predicate);
  if (arity === undefined) return fail(`one of ${[...ARITY.keys()].join(", ")}`, `"${predicate}"`);
  if (names.length !== arity) fail(`${arity} argument${arity > 1 ? "s" : ""}`, `${names.length}`);

  const findSite = (name: string) => sites.find((site) => site.name === name);
  const findObject = (name: string) =>
    objects.find((object) => object.name === name) ??
    fail("an object, fixture or site of the scene", `"${name}"`);

  if (predicate === "on" || predicate === "in") {
    const object = findObject(names[0]);
    const site = findSite(names[1]);
    if (site === undefined) {
      if (predicate === "in") return fail("a site of the scene", `"${names[1]}"`);
      return { kind: "on object", object, support: findObject(names[1]) };
    }
    if (predicate === "in") return { kind: "in site", object, site };
    return { kind: "on site", object, site, owner: site.parent === null ? null : findObject(site.parent) };
  }

  // The joints of an object, or of the body that holds a site.
  const state = predicate as JointState;
  const site = findSite(names[0]);
  const object = findObject(site ? (site.parent ?? site.name) : names[0]);
  const joints = site ? (site.joints ?? []) : object.joints;
  const range = object.articulation?.[state];
  if (!range || joints.length === 0)
    return fail(`a thing with joints that ${state}`, `"${names[0]}" (${object.category})`);
  return { kind: "joints", state, joints, range };
}
