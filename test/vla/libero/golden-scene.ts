import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DOMParser, type Element } from "@xmldom/xmldom";
import type { FixturePose, Scene, SceneObject, SceneSite, Term } from "../../../vla/libero/scene.ts";
import { type JointKind, layoutOf } from "../../../vla/libero/state-layout.ts";

/** Where the reference's file names lead: folders of the clones. */
export interface Roots {
  /** A LIBERO clone, the folder that holds `libero/libero`. */
  readonly libero: string;
  /** A robosuite clone, the folder that holds `robosuite/models`. */
  readonly robosuite: string;
}

/** The parts of a golden `task.json` used here. */
interface GoldenTask {
  readonly objects: Record<string, string[]>;
  readonly fixtures: Record<string, string[]>;
  readonly fixture_poses: Record<string, { pos: number[]; quat_wxyz: number[] }>;
  readonly regions: Record<string, { target: string }>;
  readonly goal_state: Term[];
  readonly controller_after_reset: { initial_joint: number[] };
}

/** Joint ranges at which LIBERO's articulated fixtures count as open, closed, on and off. */
const CABINET = { open: [-0.16, -0.14], close: [0, 0.005] } as const;
const ARTICULATION: Record<string, SceneObject["articulation"]> = {
  wooden_cabinet: CABINET,
  white_cabinet: CABINET,
  microwave: { open: [-2.094, -1.3], close: [-0.005, 0] },
  flat_stove: { turnon: [0.5, 2.1], turnoff: [-0.005, 0] },
};

/**
 * The scene of a golden folder (`scene.xml`, `task.json`): the composer's output as the Python stack gave it, so that
 * simulator, controller and predicates can be tested without the composer.
 */
export function goldenScene(folder: string, roots: Roots): Scene {
  const task: GoldenTask = JSON.parse(readFileSync(join(folder, "task.json"), "utf8"));
  const mjcf = readFileSync(join(folder, "scene.xml"), "utf8").replace(
    // The reserved 1.3 GB would leave room for two models in 4 GB; no LIBERO state needs 64 MB.
    '<size nconmax="5000" njmax="5000" />',
    '<size memory="64M"/>',
  );
  return { ...sceneOf(mjcf, task), assets: assetsOf(mjcf, roots) };
}

/** File names begin with `libero/` or `robosuite/`, the asset folders of the two projects. */
function assetsOf(mjcf: string, roots: Roots): Map<string, string> {
  const assets = new Map<string, string>();
  for (const [, name] of mjcf.matchAll(/\sfile="([^"]+)"/g)) {
    const [project, ...rest] = name.split("/");
    const path =
      project === "libero"
        ? join(roots.libero, "libero/libero/assets", ...rest)
        : join(roots.robosuite, "robosuite/models/assets", ...rest);
    if (!existsSync(path)) throw new Error(`goldenScene: expected asset ${name} at ${path}, found nothing`);
    assets.set(name, path);
  }
  return assets;
}

function sceneOf(mjcf: string, task: GoldenTask): Omit<Scene, "assets"> {
  const root = new DOMParser().parseFromString(mjcf, "text/xml").documentElement!;
  const bodies = new Map(elements(root, "body").map((body) => [body.getAttribute("name") ?? "", body]));

  const objects: SceneObject[] = [];
  for (const [kind, table] of [
    ["object", task.objects],
    ["fixture", task.fixtures],
  ] as const)
    for (const [category, names] of Object.entries(table))
      for (const name of names) {
        // Tables and floors are listed as fixtures too; the arena is no object.
        const body = bodies.get(`${name}_main`);
        if (!body) continue;
        const joints = [...elements(body, "joint"), ...elements(body, "freejoint")];
        objects.push({
          name,
          kind,
          category,
          rootBody: `${name}_main`,
          joints: joints.map((joint) => joint.getAttribute("name")!),
          contactGeoms: elements(body, "geom")
            .filter((geom) => (geom.getAttribute("group") ?? "0") === "0")
            .map((geom) => geom.getAttribute("name")!),
          articulation: ARTICULATION[category] ?? null,
          stateSites: category === "flat_stove" ? { burner: `${name}_burner` } : {},
        });
      }

  const regions = new Set(Object.keys(task.regions));
  const sites: SceneSite[] = elements(root, "site")
    .filter((site) => regions.has(site.getAttribute("name") ?? ""))
    .map((site) => {
      const name = site.getAttribute("name")!;
      const target = task.regions[name].target;
      const parent = objects.some((object) => object.name === target) ? target : null;
      const [x, y, z] = site.getAttribute("size")!.trim().split(/\s+/).map(Number);
      const holder = site.parentNode as Element;
      return {
        name,
        parent,
        size: [x, y, z] as const,
        joints:
          parent === null ? null : children(holder, "joint").map((joint) => joint.getAttribute("name")!),
      };
    });

  const fixturePoses = posesOf(task.fixture_poses);
  return {
    mjcf,
    places: [],
    layout: layoutOf(
      elements(root, "joint").map((joint) => (joint.getAttribute("type") ?? "hinge") as JointKind),
    ),
    objects,
    sites,
    init: [],
    goal: task.goal_state,
    home: { arm: task.controller_after_reset.initial_joint, fingers: [0.020833, -0.020833] },
    fixturePoses: () => fixturePoses,
  };
}

/** Poses by fixture from poses by root body, as the golden files give them. */
export function posesOf(poses: GoldenTask["fixture_poses"]): ReadonlyMap<string, FixturePose> {
  return new Map(
    Object.entries(poses).map(([body, { pos, quat_wxyz: quat }]) => [
      body.replace(/_main$/, ""),
      { pos: [pos[0], pos[1], pos[2]], quat: [quat[0], quat[1], quat[2], quat[3]] },
    ]),
  );
}

/** Descendants of one tag, in document order. */
function elements(root: Element, tag: string): Element[] {
  return [...root.getElementsByTagName(tag)];
}

function children(root: Element, tag: string): Element[] {
  return elements(root, tag).filter((element) => element.parentNode === root);
}
