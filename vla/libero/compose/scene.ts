/** From a BDDL file and two asset folders to one scene: what robosuite 1.4.0 and LIBERO do in Python, natively. */

import { FormatError } from "../../../core/index.ts";
import { isFolder, openFile, readText, resolve } from "../../platform/node.ts";
import { type Instance, MOST_BDDL_BYTES, type Problem, parseBddl, type Region } from "../bddl.ts";
import { samplePlacements } from "../placement.ts";
import type { FixturePose, Scene, SceneObject, SceneSite } from "../scene.ts";
import { isJointKind, type JointKind, layoutOf } from "../state-layout.ts";
import type { Task } from "../suites.ts";
import { resolveTerm } from "../terms.ts";
import { buildArena, regionSize } from "./arena.ts";
import { type AssetRoots, assetPath, emptyPiece, mergeAssets, type Piece } from "./merge.ts";
import { MOST_PIXELS } from "./mjcf.ts";
import { type LoadedObject, loadObject, objectSite } from "./object.ts";
import { pngSize } from "./png.ts";
import { type ResetDraws, readResetDraws, requireRanges } from "./reset-draws.ts";
import { buildRobot, HOME } from "./robot.ts";
import { workspaceOf } from "./workspaces.ts";
import { type Element, element, formattedPlaces, formatXml, requireFew, walk, whereIs } from "./xml.ts";

/** Objects and fixtures of a scene. LIBERO's have 8 at most; placing them takes time that grows with their square. */
const MOST_OBJECTS = 64;
/** Pixels of all pictures of a scene, 400 MB: MuJoCo's memory ends at 2 GB and holds each more than once. */
const MOST_SCENE_PIXELS = 2 ** 27;

/** A task and the folders that its files lie in. */
export interface TaskFiles {
  /** A LIBERO clone (or a folder laid out like it). */
  readonly libero: string;
  /** A robosuite clone (or a folder laid out like it). */
  readonly robosuite: string;
  readonly task: Task;
  /** Objects that the task's file does not list, behind those that it does; `:init` has no place for them. */
  readonly extra?: readonly Instance[];
}

/**
 * Composes the scene of a task. Whatever of it cannot be played is refused here.
 *
 * @throws FormatError for a malformed BDDL or MJCF file, an unknown problem class, a missing asset, a term that the
 *   scene cannot decide or set up; it names file and place
 */
export function composeScene(from: TaskFiles): Scene {
  const { who, roots, problem, workspace, objects, byName } = readTask(from);
  const table = problem.fixtures.filter((f) => f.category === workspace.category).map((f) => f.name);
  const onWorkspace = problem.regions.filter((r) => table.includes(r.target));
  for (const region of onWorkspace) requireRanges(region, who);
  const model = mergeAll(buildArena(workspace, onWorkspace, roots), buildRobot(workspace, roots), objects);
  const facts = objects.map((o) => o.facts);
  const sites = sitesOf(problem, onWorkspace, byName, who);
  checkGoal(problem, facts, sites, who);
  const draws = readResetDraws(problem, workspace, byName, who);
  samplePlacements(draws, 0, 0); // a region too small for what it is to hold is told now

  const root = mjcf(model);
  requireFew(root, who);
  checkReferences(model);
  return {
    mjcf: formatXml(root),
    places: [...formattedPlaces(root)],
    assets: filesOf(model, roots),
    layout: layoutOf(jointsOf(model.worldbody)),
    objects: facts,
    sites,
    init: problem.init,
    goal: problem.goal,
    home: HOME,
    fixturePoses: (seed, resets) => fixturesOf(draws, seed, resets),
  };
}

/** Where the task's things may be put, and in which order a reset draws their places. */
export function resetDrawsOf(from: TaskFiles): ResetDraws {
  const { who, problem, workspace, byName } = readTask(from);
  return readResetDraws(problem, workspace, byName, who);
}

/** The task's objects, those that are extra behind the others, then its fixtures. */
export function objectsOf(from: TaskFiles): readonly LoadedObject[] {
  return readTask(from).objects;
}

function readTask({ libero, robosuite, task, extra = [] }: TaskFiles) {
  const roots: AssetRoots = {
    libero: resolve(libero, "libero", "libero", "assets"),
    robosuite: resolve(robosuite, "robosuite", "models", "assets"),
  };
  for (const [name, root] of Object.entries(roots)) {
    if (!isFolder(root))
      throw new FormatError("composeScene", `the assets of ${name} in ${root}`, "no such folder");
  }
  const who = task.bddlPath;
  const listed = parseBddl(readText(who, MOST_BDDL_BYTES), who);
  const problem = { ...listed, objects: [...listed.objects, ...extra] };
  const workspace = workspaceOf(problem.name, roots.libero, who);
  checkNames(problem, who);

  const objects = [
    ...problem.objects.map((o) => loadObject(o, "object", roots, who)),
    ...problem.fixtures
      .filter((f) => f.category !== workspace.category)
      .map((f) => loadObject(f, "fixture", roots, who)),
  ];
  const byName = new Map(objects.map((o) => [o.facts.name, o]));
  return { who, roots, problem, workspace, objects, byName };
}

/** Names tell things apart. */
function checkNames({ objects, fixtures, regions }: Problem, who: string): void {
  if (objects.length + fixtures.length > MOST_OBJECTS)
    throw new FormatError(
      who,
      `at most ${MOST_OBJECTS} objects and fixtures`,
      `${objects.length + fixtures.length}`,
    );
  const taken = new Set<string>();
  for (const { name } of [...objects, ...fixtures, ...regions]) {
    if (taken.has(name))
      throw new FormatError(who, "one object, fixture or region of a name", `two named ${name}`);
    taken.add(name);
  }
}

/** Order matters: it is the order of bodies, joints and so of the state vector. */
function mergeAll(arena: Piece, robot: Piece, objects: readonly LoadedObject[]): Piece {
  const model = emptyPiece();
  for (const piece of [arena, robot]) {
    mergeAssets(model.asset, piece.asset);
    for (const section of ["worldbody", "actuator", "sensor"] as const) {
      model[section].children.push(...piece[section].children);
    }
  }
  for (const object of objects) {
    mergeAssets(model.asset, object.assets);
    model.worldbody.children.push(object.body);
  }
  return model;
}

function mjcf({ asset, worldbody, actuator, sensor }: Piece) {
  return element("mujoco", { model: "libero" }, [
    // Only collision geoms (group 0) have mass.
    element("compiler", { angle: "radian", inertiagrouprange: "0 0" }),
    element("option", {
      timestep: "0.002",
      impratio: "20",
      cone: "elliptic",
      density: "1.2",
      viscosity: "0.00002",
    }),
    // The reference asks for room for 5000 contacts, 1.3 GB per state; its scenes stay near 100, which take 3 MB.
    // MuJoCo warns where this is not enough, and an environment takes a warning for an error.
    element("size", { memory: "16M" }),
    element("visual", {}, [element("map", { znear: "0.001" })]),
    asset,
    worldbody,
    actuator,
    sensor,
  ]);
}

/** @throws FormatError for a name used twice among things of one kind, or that of no texture, material or mesh. */
function checkReferences(model: Piece): void {
  const taken = new Map<string, Element>();
  for (const e of Object.values(model).flatMap((section) => [...walk(section)])) {
    const name = e.attributes.get("name");
    if (name === undefined) continue;
    const key = `${e.tag === "freejoint" ? "joint" : e.tag} ${name}`;
    const other = taken.get(key);
    if (other !== undefined) throw new FormatError(whereIs(e), "a name of its own", `${whereIs(other)}`);
    taken.set(key, e);
  }
  for (const e of [...walk(model.asset), ...walk(model.worldbody)])
    for (const kind of ["texture", "material", "mesh"]) {
      const name = e.attributes.get(kind);
      if (name !== undefined && !taken.has(`${kind} ${name}`))
        throw new FormatError(whereIs(e), `a ${kind} "${name}"`, "none");
    }
}

/** The kinds of the joints in MuJoCo's order: those of a body before those of the bodies in it. */
function jointsOf(body: Element): JointKind[] {
  const own = body.children.flatMap((e): JointKind[] => {
    if (e.tag === "freejoint") return ["free"];
    if (e.tag !== "joint") return [];
    const kind = e.attributes.get("type") ?? "hinge";
    if (!isJointKind(kind)) throw new FormatError(`${whereIs(e)} type`, "free, ball, slide or hinge", kind);
    return [kind];
  });
  return [...own, ...body.children.filter((e) => e.tag === "body").flatMap(jointsOf)];
}

/** @throws FormatError for what is no regular file, and for pictures that would not fit into memory. */
function filesOf(model: Piece, roots: AssetRoots): Map<string, string> {
  const files = new Map<string, string>();
  let pixels = 0;
  for (const e of walk(model.asset)) {
    const name = e.attributes.get("file");
    if (name === undefined || files.has(name)) continue;
    const path = assetPath(name, roots);
    pixels += pixelsOf(path, e.tag === "texture");
    files.set(name, path);
  }
  if (pixels > MOST_SCENE_PIXELS)
    throw new FormatError("composeScene", `at most ${MOST_SCENE_PIXELS} pixels in all textures`, `${pixels}`);
  return files;
}

function pixelsOf(path: string, isPicture: boolean): number {
  using file = openFile(path);
  if (!isPicture) return 0;
  const [width, height] = pngSize(file);
  if (width * height > MOST_PIXELS)
    throw new FormatError(path, `at most ${MOST_PIXELS} pixels`, `${width} × ${height}`);
  return width * height;
}

/** Regions of the workspace and sites of objects, in file order. LIBERO's files also list regions of absent objects. */
function sitesOf(
  problem: Problem,
  onWorkspace: readonly Region[],
  objects: ReadonlyMap<string, LoadedObject>,
  who: string,
): SceneSite[] {
  return problem.regions.flatMap((region): SceneSite[] => {
    if (onWorkspace.includes(region))
      return [{ name: region.name, parent: null, size: regionSize(region), joints: null }];
    const target = objects.get(region.target);
    if (target === undefined) return [];
    return [objectSite(target, region.name, `${who}: region ${region.site}`)];
  });
}

function checkGoal(
  { goal }: Problem,
  objects: readonly SceneObject[],
  sites: readonly SceneSite[],
  who: string,
): void {
  for (const term of goal) {
    resolveTerm({ objects, sites }, term, (expected, found) => {
      throw new FormatError(`${who}: (:goal (${term.join(" ")}))`, expected, found);
    });
  }
}

function fixturesOf(draws: ResetDraws, seed: number, resets: number): ReadonlyMap<string, FixturePose> {
  const all = samplePlacements(draws, seed, resets);
  const fixtures = draws.places.map((p) => p.object.facts).filter((o) => o.kind === "fixture");
  return new Map(fixtures.map((o) => [o.name, all.get(o.name)!]));
}
