import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { demonstrate } from "../../../vla/experts/demonstrate.ts";
import { GoalExpert } from "../../../vla/experts/expert.ts";
import { axesOf, Hand, OPEN, pointingDown, reach } from "../../../vla/experts/hand.ts";
import { Shapes } from "../../../vla/experts/shapes.ts";
import { cross, distance, dot, type Vector, wrap } from "../../../vla/experts/vector.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { findTask, loadSuite } from "../../../vla/libero/suites.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const coordinate = fc.double({ min: -2, max: 2, noNaN: true });
const point = fc.tuple(coordinate, coordinate, coordinate);
const angle = fc.double({ min: -10, max: 10, noNaN: true });

describe("vectors and axes", () => {
  test.prop([angle, fc.constantFrom(Math.PI / 2, Math.PI, 2 * Math.PI)])(
    "wrap gives the same direction within half a period of 0",
    (a, period) => {
      const turns = (a - wrap(a, period)) / period;
      expect(Math.abs(turns - Math.round(turns))).toBeLessThan(1e-9);
      expect(Math.abs(wrap(a, period))).toBeLessThanOrEqual(period / 2 + 1e-12);
    },
  );

  test.prop([angle])("a hand that points down has right-handed unit axes, the last one down", (yaw) => {
    const [x, y, z] = pointingDown(yaw);
    expect(distance(cross(x, y), z)).toBeLessThan(1e-12);
    expect([dot(x, x), dot(y, y)].every((length) => Math.abs(length - 1) < 1e-12)).toBe(true);
    expect(z).toEqual([0, 0, -1]);
  });

  test.prop([fc.tuple(coordinate, coordinate, coordinate, coordinate)])(
    "axes of a unit quaternion are right-handed unit vectors",
    (q) => {
      const length = Math.hypot(...q);
      fc.pre(length > 0.1);
      const [x, y, z] = axesOf(q.map((value) => value / length));
      expect(distance(cross(x, y), z)).toBeLessThan(1e-9);
      expect(Math.abs(dot(x, x) - 1)).toBeLessThan(1e-9);
    },
  );
});

const suite = loadSuite(miniRoots.libero, MINI);

/** An episode of a task of the embedded suite, just begun. */
async function begin(name: string, init = 0): Promise<LiberoEnv> {
  const task = findTask(suite, name);
  const scene = composeScene({ ...miniRoots, task });
  const env = await LiberoEnv.open(scene);
  env.start({ seed: 0, state: readInitStates(task.initPath, scene.layout)[init] });
  return env;
}

const ON_PLATE = "BLOCKS_SCENE1_put_the_red_block_on_the_plate";

describe("shapes", () => {
  it("of a block reach 2 cm from its middle to all sides, and are all there is above the table", async () => {
    using env = await begin(ON_PLATE);
    const shapes = new Shapes(env.scene, env.sim);
    const [x, y, z] = new Hand(env.sim, 0).position("red_block_1_main");
    expect(z - shapes.lowest("red_block_1")).toBeCloseTo(0.02, 3);
    expect(shapes.highest("red_block_1") - z).toBeCloseTo(0.02, 3);
    expect(shapes.clearance([x, y, z], "")).toBe(0);
    expect(shapes.clearance([x, y, z + 0.05], "")).toBeCloseTo(0.03, 3);
    expect(shapes.clearance([x, y, z + 0.05], "red_block_1")).toBeGreaterThan(0.05);
    const beside = (offset: number): Vector => [x + offset, y, z];
    expect(shapes.highestAlong(beside(-0.1), beside(0.1), 0.02, "")).toBeCloseTo(z + 0.02, 3);
    expect(shapes.highestAlong(beside(0), beside(0), 0.02, "red_block_1")).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe("a hand", () => {
  it("asks for no more than an action can, wherever it is to go", async () => {
    using env = await begin(ON_PLATE);
    const goals = fc.property(point, angle, fc.nat(2 ** 31), (goal, yaw, seed) => {
      const action = new Hand(env.sim, seed).towards(goal, yaw, OPEN);
      expect(action).toHaveLength(7);
      expect(action.every((value) => Math.abs(value) <= 1)).toBe(true);
    });
    fc.assert(goals);
  });

  it("gets where it is led", async () => {
    using env = await begin(ON_PLATE);
    const hand = new Hand(env.sim, 3);
    const [x, y, z] = hand.tip();
    for (const [goal, yaw] of [
      [[x + 0.1, y + 0.1, z - 0.05], 0.5],
      [[x, y - 0.1, z - 0.1], -0.5],
    ] as const) {
      for (const action of reach(hand, () => goal, yaw, OPEN, 0.01)) env.advance(action);
      expect(distance(hand.tip(), goal)).toBeLessThan(0.02);
      expect(hand.facingError(yaw)).toBeLessThan(0.1);
    }
  });
});

/** Plays until success. Returns the number of steps; null after 300 without. */
function play(env: LiberoEnv): number | null {
  const expert = new GoalExpert(env.scene, env.sim, 1);
  for (let step = 1; step <= 300; step++) if (env.advance(expert.act()).success) return step;
  return null;
}

describe("the expert for goals", () => {
  it.each([
    ON_PLATE,
    "BLOCKS_SCENE1_put_the_green_block_into_the_tray",
    "BLOCKS_SCENE2_stack_the_red_block_on_the_blue_block",
  ])("solves %s of the embedded suite, which it was not written for", async (name) => {
    using env = await begin(name);
    expect(play(env)).not.toBeNull();
  });

  it("says what it has no skill for", async () => {
    using env = await begin("DRAWER_SCENE3_pull_the_drawer_open");
    expect(() => new GoalExpert(env.scene, env.sim, 1)).toThrow(
      "GoalExpert: (open small_cabinet_1_drawer_region): expected",
    );
  });
});

const { LIBERO_ROOT, ROBOSUITE_ROOT } = process.env;
describe.skipIf(!LIBERO_ROOT || !ROBOSUITE_ROOT)(
  "the expert on LIBERO (needs LIBERO_ROOT, ROBOSUITE_ROOT)",
  () => {
    it.each([
      ["libero_spatial", 4],
      ["libero_object", 6],
      ["libero_goal", 0],
      ["libero_goal", 5],
    ])("solves an episode of %s, task %d", async (name, index) => {
      const roots = { libero: LIBERO_ROOT!, robosuite: ROBOSUITE_ROOT! };
      const task = findTask(loadSuite(roots.libero, name), index);
      const scene = composeScene({ ...roots, task });
      using env = await LiberoEnv.open(scene);
      const [state] = readInitStates(task.initPath, scene.layout);
      const start = { task: task.name, state, seed: 0, expertSeed: 0 };
      const { success, account } = demonstrate(env, start, 300);
      expect(success, account).toBe(true);
    });
  },
);
