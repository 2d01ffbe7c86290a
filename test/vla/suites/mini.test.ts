import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { demonstrate } from "../../../vla/experts/demonstrate.ts";
import { type Problem, parseBddl } from "../../../vla/libero/bddl.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { encodeInitStates } from "../../../vla/libero/init-states-writer.ts";
import { NINA } from "../../../vla/libero/protocols.ts";
import { ARM_JOINTS, HAND_BODY } from "../../../vla/libero/robot.ts";
import type { Scene } from "../../../vla/libero/scene.ts";
import { loadSuite, type Task } from "../../../vla/libero/suites.ts";
import { parseRecordings } from "../../../vla/policies/replay.ts";
import { Expert, expertTasks } from "../../../vla/suites/mini/expert.ts";
import { sampleInitStates } from "../../../vla/suites/mini/make-init-states.ts";
import { renderTexture, textures } from "../../../vla/suites/mini/make-textures.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const { tasks } = loadSuite(miniRoots.libero, MINI);
/** Each scene's name, which its tasks begin with, and those tasks. */
const scenes = [...new Set(tasks.map(({ name }) => name.match(/^[A-Z]+_SCENE\d/)![0]))].map(
  (scene) => [scene, tasks.filter(({ name }) => name.startsWith(scene))] as const,
);
const HOLD = [0, 0, 0, 0, 0, 0, 0];
/** Half the edge of a block, height of the table's top: metres. */
const BLOCK = 0.02;
const TABLE = 0.9;

// Models are compiled, not cached: a test must not depend on what an earlier run left, and it takes 20 ms.
const compose = (task: Task): Scene => composeScene({ ...miniRoots, task });
const open = (task: Task): Promise<LiberoEnv> => LiberoEnv.open(compose(task), { cacheFolder: null });

const problemOf = (task: Task): Problem => parseBddl(readFileSync(task.bddlPath, "utf8"), task.name);

function start(env: LiberoEnv, state: ArrayLike<number>): void {
  env.start({ seed: 0, state });
}

/** Where the objects (not the fixtures) of a scene are, metres. */
function positions(env: LiberoEnv): Record<string, Float64Array> {
  const movable = env.scene.objects.filter((object) => object.kind === "object");
  return Object.fromEntries(
    movable.map(({ name, rootBody }) => {
      const at = 3 * env.sim.id("body", rootBody);
      return [name, env.sim.views.bodyPos.slice(at, at + 3)];
    }),
  );
}

describe("the embedded suite", () => {
  it("has its tasks in the folders of a LIBERO clone", () => {
    expect(tasks.map((task) => task.instruction)).toEqual([
      "put the blue block on the plate",
      "put the green block and the blue block into the tray",
      "put the green block into the tray",
      "put the red block into the tray",
      "put the red block on the plate",
      "stack the blue block on the red block",
      "stack the red block on the blue block",
      "pull the drawer open",
      "push the drawer shut",
      "put the block on the left plate",
      "put the block on the right plate",
    ]);
    expect(expertTasks.toSorted()).toEqual(tasks.map((task) => task.name));
    expect(scenes.map(([, tasks]) => tasks.length)).toEqual([5, 2, 2, 2]);
  });

  it("brings every file it needs, and no meshes", () => {
    for (const [, [task]] of scenes) {
      const { mjcf, assets } = compose(task);
      expect(mjcf).not.toContain("<mesh");
      for (const path of assets.values()) expect(path.startsWith(miniRoots.libero)).toBe(true);
    }
  });

  it("has the textures its script paints", () => {
    const folder = join(miniRoots.libero, "libero", "libero", "assets", "textures");
    expect(readdirSync(folder).toSorted()).toEqual(Object.keys(textures).toSorted());
    for (const name of Object.keys(textures))
      expect(readFileSync(join(folder, name)).equals(renderTexture(name)), name).toBe(true);
  });

  it("has an arm with the Panda's link lengths", async () => {
    using env = await open(tasks[0]);
    env.sim.resetData();
    for (const joint of ARM_JOINTS) env.sim.views.qpos[env.sim.qposAddress(joint)] = 0;
    env.sim.forward();
    const [base, hand] = ["robot0_base", HAND_BODY].map((name) => {
      const at = 3 * env.sim.id("body", name);
      return env.sim.views.bodyPos.slice(at, at + 3);
    });
    // Stretched upwards, the flange hangs 88 mm in front: d1 + d3 + d5 - (flange - 0.5 mm), a7 in the published table.
    const [x, y, z] = hand.map((value, i) => value - base[i]);
    expect(x).toBeCloseTo(0.088, 6);
    expect(y).toBeCloseTo(0, 6);
    expect(z).toBeCloseTo(0.333 + 0.316 + 0.384 - 0.1065, 6);
  });
});

describe.each(scenes)("%s", (_, sharing) => {
  const [task] = sharing;
  const rows = readInitStates(task.initPath);
  it("is the same for all its tasks, which differ in words and goal", () => {
    const problems = sharing.map(problemOf);
    const scene = ({ name, regions, fixtures, objects, init }: Problem) => ({
      name,
      regions,
      fixtures,
      objects,
      init,
    });
    for (const problem of problems) expect(scene(problem)).toEqual(scene(problems[0]));
    expect(new Set(problems.map(({ goal }) => JSON.stringify(goal))).size).toBe(sharing.length);
    for (const [i, { language }] of problems.entries())
      expect(language.toLowerCase()).toBe(sharing[i].instruction);
    for (const other of sharing)
      expect(readFileSync(other.initPath).equals(readFileSync(task.initPath))).toBe(true);
  });

  it("has the 50 initial states its script samples, byte for byte", async () => {
    const sampled = await sampleInitStates(task);
    expect(sampled.length).toBe(50);
    expect(readFileSync(task.initPath).equals(encodeInitStates(sampled))).toBe(true);
    // A row is the same whichever others are sampled with it, and there are more than the files hold.
    const later = await sampleInitStates(task, 48, 4);
    expect(later.slice(0, 2)).toEqual(sampled.slice(48));
    expect(later[2]).not.toEqual(later[3]);
  });

  it("has the same layout of a state as its compiled model", async () => {
    using env = await open(task);
    expect(env.sim.layout).toEqual(env.scene.layout);
    expect([env.sim.nq, env.sim.nv]).toEqual([env.scene.layout.nq, env.scene.layout.nv]);
    expect(readInitStates(task.initPath, env.scene.layout)).toEqual(rows);
  });

  it("starts with objects far enough apart for the fingers", async () => {
    using env = await open(task);
    for (const row of rows) {
      start(env, row);
      const places = Object.values(positions(env));
      for (const [j, a] of places.entries())
        for (const b of places.slice(j + 1))
          expect(Math.hypot(a[0] - b[0], a[1] - b[1])).toBeGreaterThan(0.1);
    }
  });

  it("settles: objects come to rest on the table where they were put, and no goal holds", async () => {
    using env = await open(task);
    for (const row of rows.slice(0, 3)) {
      start(env, row);
      const before = positions(env);
      const goals = sharing.map((task) => problemOf(task).goal.map((term) => env.predicates.compile(term)));
      for (let i = 0; i < 20; i++) {
        env.advance(HOLD);
        for (const goal of goals) expect(goal.every((holds) => holds())).toBe(false);
      }
      // The arm holds against gravity with a little drift; objects do not move at all.
      for (const { joints } of env.scene.objects) {
        const dof = env.sim.dofAddress(joints[0]);
        expect(Math.hypot(...env.sim.views.qvel.slice(dof, dof + 3))).toBeLessThan(1e-3);
      }
      for (const [name, [x, y, z]] of Object.entries(positions(env))) {
        expect(Math.hypot(x - before[name][0], y - before[name][1]), name).toBeLessThan(2e-3);
        // Soft contacts let objects sink in by some micrometres.
        const rest = TABLE + (name.includes("block") ? BLOCK : 0);
        expect(Math.abs(z - rest), name).toBeLessThan(5e-4);
      }
    }
  });
});

describe.each(tasks)("$name", (task) => {
  const rows = readInitStates(task.initPath);

  it("names what its goal is about: what moves, then where to", () => {
    const { interest, goal } = problemOf(task);
    const site = (name: string) => name.replace(/_(contain|drawer)_region$/, "");
    const moving = goal.map(([, object]) => site(object));
    const to = goal.flatMap(([, , support]) => (support === undefined ? [] : [site(support)]));
    expect(interest).toEqual([...moving, ...new Set(to)]);
  });

  it("starts with the goal open", async () => {
    using env = await open(task);
    for (const [i, row] of rows.entries()) {
      expect(env.start({ seed: 0, state: row }).success, `row ${i}`).toBe(false);
    }
  });

  it("is solved by the expert", async () => {
    using env = await open(task);
    const { success, actions } = demonstrate(
      env,
      { task: task.name, state: rows[1], seed: 1, expertSeed: 1 },
      300,
    );
    expect(success).toBe(true);
    expect(actions.flat().every((value) => Math.abs(value) <= 1)).toBe(true);
  });

  it("is solved by the recorded actions, with the last of them", async () => {
    const path = new URL(`../../fixtures/mini/${task.name}.json`, import.meta.url).pathname;
    const [{ suite, task: name, init, seed, actions }] = parseRecordings(
      readFileSync(path, "utf8"),
      path,
    ).recordings;
    expect([suite, name]).toEqual([MINI, task.name]);
    using env = await open(task);
    env.start({ seed, state: rows[init] });
    for (let i = 0; i < NINA.settle.steps; i++) env.advance(NINA.settle.action);
    const outcomes = actions.map((action) => env.advance(action).success);
    expect(outcomes.indexOf(true)).toBe(actions.length - 1);
  });
});

describe("left and right", () => {
  const sharing = tasks.filter(({ name }) => name.startsWith("PLATES"));

  it("are those of agentview's upright picture, in every start", async () => {
    const [task] = sharing;
    const camera = compose(task).mjcf.match(/<camera [^>]*name="agentview"[^>]*>/)![0];
    const [w, x, y, z] = camera
      .match(/quat="([^"]*)"/)![1]
      .split(" ")
      .map(Number);
    // To the right in the picture is the camera's x axis, and that is the world's y axis.
    expect(2 * (x * y + w * z)).toBeCloseTo(1, 4);
    using env = await open(task);
    for (const row of readInitStates(task.initPath)) {
      start(env, row);
      const { white_plate_1, white_plate_2 } = positions(env);
      expect(white_plate_1[1]).toBeLessThan(-0.15);
      expect(white_plate_2[1]).toBeGreaterThan(0.15);
    }
    expect(sharing.map((task) => [task.instruction, problemOf(task).goal[0][2]])).toEqual([
      ["put the block on the left plate", "white_plate_1"],
      ["put the block on the right plate", "white_plate_2"],
    ]);
  });
});

describe("the drawer", () => {
  it("starts half open, neither open nor shut", async () => {
    const task = tasks.find(({ name }) => name.startsWith("DRAWER"))!;
    using env = await open(task);
    const at = 1 + env.sim.qposAddress("small_cabinet_1_slide");
    const openings = readInitStates(task.initPath).map((row) => -row[at]);
    for (const opening of openings) expect(Math.abs(opening - 0.09)).toBeLessThan(0.02);
    expect(new Set(openings).size).toBe(openings.length);
  });
});

describe("Expert", () => {
  it("is played the same way again with the same seeds, another way with others", async () => {
    const [task] = tasks;
    const [row] = readInitStates(task.initPath);
    using env = await open(task);
    const play = (expertSeed: number) => {
      demonstrate(env, { task: task.name, state: row, seed: 0, expertSeed }, 30);
      return env.trajectoryHash();
    };
    const first = play(1);
    expect(play(2)).not.toBe(first);
    expect(play(1)).toBe(first);
  });

  it("names the tasks it can do when asked for another", async () => {
    using env = await open(tasks[0]);
    expect(() => new Expert("fly", env.sim, 0)).toThrow(
      /Expert: expected a task of .*DRAWER_SCENE3_push_the_drawer_shut.*, found fly/,
    );
  });
});
