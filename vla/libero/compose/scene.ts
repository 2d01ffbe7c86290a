/** From a BDDL file and two asset folders to one scene: what robosuite 1.4.0 and LIBERO do in Python, natively. */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Problem, parseBddl, type Region } from "../bddl.ts";
import { samplePlacements } from "../placement.ts";
import type { FixturePose, Scene, SceneSite } from "../scene.ts";
import type { Task } from "../suites.ts";
import { buildArena, regionSize } from "./arena.ts";
import { type AssetRoots, assetPath, emptyPiece, mergeAssets, type Piece } from "./merge.ts";
import { type LoadedObject, loadObject, objectSite } from "./object.ts";
import { type PlacementPlan, planPlacement } from "./placement-plan.ts";
import { buildRobot, HOME } from "./robot.ts";
import { workspaceOf } from "./workspaces.ts";
import { element, formatXml, walk } from "./xml.ts";

/**
 * Composes the scene of a task.
 *
 * @param libero folder of a LIBERO clone (or one laid out like it)
 * @param robosuite folder of a robosuite clone (or one laid out like it)
 * @throws Error for a malformed BDDL file, an unknown problem class, a missing asset; it names the file
 */
export function composeScene({
  libero,
  robosuite,
  task,
}: {
  libero: string;
  robosuite: string;
  task: Task;
}): Scene {
  const roots: AssetRoots = {
    libero: resolve(libero, "libero", "libero", "assets"),
    robosuite: resolve(robosuite, "robosuite", "models", "assets"),
  };
  for (const [name, root] of Object.entries(roots)) {
    if (!existsSync(root))
      throw new Error(`composeScene: expected the assets of ${name} in ${root}, found no such folder`);
  }
  const problem = parseBddl(readFileSync(task.bddlPath, "utf8"), task.bddlPath);
  const workspace = workspaceOf(problem.name, task.bddlPath);

  const objects = [
    ...problem.objects.map((o) => loadObject(o, "object", roots)),
    ...problem.fixtures
      .filter((f) => f.category !== workspace.category)
      .map((f) => loadObject(f, "fixture", roots)),
  ];
  const byName = new Map(objects.map((o) => [o.facts.name, o]));
  const table = problem.fixtures.filter((f) => f.category === workspace.category).map((f) => f.name);
  const onWorkspace = problem.regions.filter((r) => table.includes(r.target));
  const model = mergeAll(buildArena(workspace, onWorkspace, roots), buildRobot(workspace, roots), objects);
  const sites = sitesOf(problem, onWorkspace, byName, task.bddlPath);
  checkGoal(problem, [...byName.keys(), ...sites.map((s) => s.name)], task.bddlPath);
  const plan = planPlacement(problem, workspace, byName, task.bddlPath);

  return {
    mjcf: formatXml(mjcf(model)),
    assets: filesOf(model, roots),
    objects: objects.map((o) => o.facts),
    sites,
    goal: problem.goal,
    home: HOME,
    fixturePoses: (seed, resets) => fixturesOf(plan, seed, resets),
  };
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
    // The reference asks for room for 5000 contacts, 1.3 GB per state; its scenes stay near 100.
    element("size", { memory: "64M" }),
    element("visual", {}, [element("map", { znear: "0.001" })]),
    asset,
    worldbody,
    actuator,
    sensor,
  ]);
}

function filesOf(model: Piece, roots: AssetRoots): Map<string, string> {
  const files = new Map<string, string>();
  for (const { attributes } of walk(model.asset)) {
    const name = attributes.get("file");
    if (name === undefined) continue;
    const path = assetPath(name, roots);
    if (!existsSync(path)) {
      throw new Error(
        `composeScene: asset ${name} is missing (looked for ${path} under ${roots[name.split("/")[0] as keyof AssetRoots]})`,
      );
    }
    files.set(name, path);
  }
  return files;
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
    const site = objectSite(target, region.name);
    if (site === undefined) throw new Error(`${who}: ${target.facts.category} has no site ${region.site}`);
    return [site];
  });
}

function checkGoal({ goal }: Problem, known: readonly string[], who: string): void {
  for (const [predicate, ...names] of goal) {
    const missing = names.find((n) => !known.includes(n));
    if (missing !== undefined)
      throw new Error(`${who}: goal ${predicate} names ${missing}; the scene has ${known.join(", ")}`);
  }
}

function fixturesOf(plan: PlacementPlan, seed: number, resets: number): ReadonlyMap<string, FixturePose> {
  const all = samplePlacements(plan, seed, resets);
  const fixtures = plan.places.map((p) => p.object.facts).filter((o) => o.kind === "fixture");
  return new Map(fixtures.map((o) => [o.name, all.get(o.name)!]));
}
