import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fc, test as property } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseBddl } from "../../../vla/libero/bddl.ts";
import { loadObject, sitePosition } from "../../../vla/libero/compose/object.ts";
import { type ResetDraws, readResetDraws } from "../../../vla/libero/compose/reset-draws.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { workspaceOf } from "../../../vla/libero/compose/workspaces.ts";
import { Mt19937 } from "../../../vla/libero/mt19937.ts";
import { samplePlacements } from "../../../vla/libero/placement.ts";
import { findTask, loadSuite } from "../../../vla/libero/suites.ts";
import { type TinyClone, tinyBddl, tinyClone } from "./tiny-clone.ts";

function drawsOfReset(bddl: string, libero: string, robosuite: string): ResetDraws {
  const problem = parseBddl(bddl, "task");
  const workspace = workspaceOf(problem.name, "assets", "task");
  const roots = {
    libero: join(libero, "libero", "libero", "assets"),
    robosuite: join(robosuite, "robosuite", "models", "assets"),
  };
  const objects = [
    ...problem.objects.map((o) => loadObject(o, "object", roots, "task")),
    ...problem.fixtures
      .filter((f) => f.category !== workspace.category)
      .map((f) => loadObject(f, "fixture", roots, "task")),
  ];
  return readResetDraws(problem, workspace, new Map(objects.map((o) => [o.facts.name, o])), "task");
}

describe("samplePlacements on a tiny clone", () => {
  let clone: TinyClone;
  const draws = (init: string): ResetDraws => drawsOfReset(tinyBddl({ init }), clone.libero, clone.robosuite);
  beforeAll(() => {
    clone = tinyClone();
  });
  afterAll(() => rmSync(dirname(clone.libero), { recursive: true }));

  property.prop([fc.nat(), fc.nat({ max: 3 })], { numRuns: 30 })(
    "keeps to regions, heights and distances",
    (seed, resets) => {
      const poses = samplePlacements(
        draws("(On box_1 main_table_left) (On box_2 main_table_left) (On cabinet_1 main_table_corner)"),
        seed,
        resets,
      );
      const one = poses.get("box_1")!;
      const two = poses.get("box_2")!;
      for (const { pos } of [one, two]) {
        // Radius 0.02 inside the region's border; 0.01 above rest, 0.03 from rest to the root.
        expect(Math.abs(pos[0])).toBeLessThanOrEqual(0.08);
        expect(Math.abs(pos[1] + 0.2)).toBeLessThanOrEqual(0.08);
        expect(pos[2]).toBeCloseTo(0.94, 12);
      }
      expect(Math.hypot(one.pos[0] - two.pos[0], one.pos[1] - two.pos[1])).toBeGreaterThan(0.04);
      const cabinet = poses.get("cabinet_1")!;
      expect(cabinet.pos[2]).toBeCloseTo(0.9 - 0.04 + 0.1, 12);
      const yaw = 2 * Math.atan2(cabinet.quat[3], cabinet.quat[0]);
      expect(yaw >= 1 && yaw <= 2).toBe(true);
    },
  );

  test("reset k + 1 continues the stream of reset k; equal seeds give equal poses", () => {
    const p = draws("(On box_1 main_table_left) (On cabinet_1 main_table_corner)");
    const poses = [0, 1, 2].map((k) => samplePlacements(p, 4, k).get("cabinet_1")!);
    expect(new Set(poses.map((x) => x.pos[0])).size).toBe(3);
    expect(samplePlacements(p, 4, 1).get("cabinet_1")).toEqual(poses[1]);
  });

  test("an open drawer costs one draw per time the model was loaded", () => {
    const open = draws("(On cabinet_1 main_table_corner) (Open cabinet_1_top_region)");
    expect(open.properties).toEqual([{ joints: ["cabinet_1_slide"], range: [-0.16, -0.14] }]);
    const rng = new Mt19937(0);
    for (const reset of [0, 1, 2]) {
      for (let i = 0; i < 7; i++) rng.gauss();
      // Making the environment loads the model once, each reset once more.
      for (let i = 0; i < reset + 2; i++) rng.random();
      const [x, y] = [rng.uniform(0.2, 0.22), rng.uniform(0.2, 0.22)];
      expect(samplePlacements(open, 0, reset).get("cabinet_1")!.pos.slice(0, 2)).toEqual([x, y]);
      rng.random(); // yaw
    }
  });

  test("things rest on objects and sites; a drawer takes its site along", () => {
    const p = draws(
      "(On box_2 box_1) (In box_1 cabinet_1_top_region) (Open cabinet_1_top_region) (On cabinet_1 main_table_corner)",
    );
    const poses = samplePlacements(p, 11, 0);
    const cabinet = poses.get("cabinet_1")!;
    const one = poses.get("box_1")!;
    // Site: 0.1 up, then half a metre along the drawer's x (the cabinet's y), less the 0.14 to 0.16 that it is open.
    expect(one.pos[2] - cabinet.pos[2]).toBeCloseTo(0.1 + 0.03, 12);
    const reach = Math.hypot(one.pos[0] - cabinet.pos[0], one.pos[1] - cabinet.pos[1]);
    expect(reach >= 0.34 && reach <= 0.36).toBe(true);
    const two = poses.get("box_2")!;
    expect([two.pos[0], two.pos[1]]).toEqual([one.pos[0], one.pos[1]]);
    expect(two.pos[2] - one.pos[2]).toBeCloseTo(0.04 + 0.01 + 0.03, 12);
  });

  test("sitePosition follows bodies and joints", () => {
    const cabinet = drawsOfReset(tinyBddl(), clone.libero, clone.robosuite).places.find(
      (p) => p.object.facts.kind === "fixture",
    )!.object;
    const at = sitePosition(cabinet, "cabinet_1_top_region", new Map([["cabinet_1_slide", -0.2]]));
    [0, 0.3, 0.1].forEach((x, i) => {
      expect(at[i]).toBeCloseTo(x, 12);
    });
  });

  test.each([-1, 0.5, Number.NaN, 1e5])(
    "refuses %s earlier resets, which would never be counted",
    (resets) => {
      const p = drawsOfReset(tinyBddl(), clone.libero, clone.robosuite);
      expect(() => samplePlacements(p, 0, resets)).toThrow(
        `expected 0 to 10000 earlier resets, found ${resets}`,
      );
    },
  );

  test("gives up with one clear error when there is no room", () => {
    const crowd = "(:target main_table) (:ranges ((0 0 0.03 0.03)))";
    const bddl = tinyBddl({
      regions: `(tight ${crowd})`,
      init: "(On box_1 main_table_tight) (On box_2 main_table_tight) (On cabinet_1 main_table_corner)",
    });
    const p = drawsOfReset(bddl, clone.libero, clone.robosuite);
    expect(() => samplePlacements(p, 0, 0)).toThrow(
      "task: (:init ...): expected room for all objects, found none in 100 resets",
    );
  });
});

const { LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS } = process.env;
describe.skipIf(!LIBERO_ROOT || !ROBOSUITE_ROOT || !NINA_GOLDENS)(
  "placements of the reference (needs LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS)",
  () => {
    const folder = join(NINA_GOLDENS ?? "", "libero");
    const goldens = NINA_GOLDENS ? readdirSync(folder).filter((f) => f.includes("__")) : [];

    test.each(goldens)("%s: fixtures bit for bit, objects to rounding", (name) => {
      const golden = JSON.parse(readFileSync(join(folder, name, "task.json"), "utf8"));
      const task = findTask(loadSuite(LIBERO_ROOT!, golden.suite), golden.index);
      const scene = composeScene({ libero: LIBERO_ROOT!, robosuite: ROBOSUITE_ROOT!, task });
      const fixtures = [...scene.fixturePoses(golden.seed, 0)].map(([fixture, p]) => [
        `${fixture}_main`,
        { pos: p.pos, quat_wxyz: p.quat },
      ]);
      expect(Object.fromEntries(fixtures)).toEqual(golden.fixture_poses);

      const all = samplePlacements(
        drawsOfReset(readFileSync(task.bddlPath, "utf8"), LIBERO_ROOT!, ROBOSUITE_ROOT!),
        golden.seed,
        0,
      );
      for (const object of scene.objects.filter((o) => o.kind === "object")) {
        const address = golden.jnt_qposadr[golden.joint_names.indexOf(object.joints[0])];
        const pose = all.get(object.name)!;
        // The reference turns a site's offset in float32: 1e-8 on 0.2 m.
        [...pose.pos, ...pose.quat].forEach((x, i) => {
          expect(Math.abs(x - golden.after_reset.qpos[address + i])).toBeLessThan(1e-8);
        });
      }
    });
  },
);
