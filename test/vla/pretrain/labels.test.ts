import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Cache, Random, readText } from "../../../core/index.ts";
import { MOST_BDDL_BYTES, parseBddl } from "../../../vla/libero/bddl.ts";
import { resetDrawsOf } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import { WRIST_CAMERA } from "../../../vla/libero/robot.ts";
import { groupByScene } from "../../../vla/libero/scene-mates.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { labelRecordings } from "../../../vla/pretrain/labels.ts";
import { namesIn } from "../../../vla/pretrain/named-things.ts";
import { RandomScenes } from "../../../vla/pretrain/random-scenes.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-labels-"));
afterAll(() => rmSync(folder, { recursive: true }));

const groups = groupByScene(miniRoots, loadSuite(miniRoots.libero, MINI).tasks);
const FRAMES = 12;
const SIDE = 64;

describe.each(groups.map((group) => ({ group, name: group[0].task.name })))(
  "random scenes of $name",
  ({ group }) => {
    test("labels say where the pictures show things, and where the arm reads itself", async () => {
      const [{ task, scene }] = group;
      using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: 16 });
      const draws = resetDrawsOf({ ...miniRoots, task });
      const scenes = new RandomScenes(
        env,
        draws,
        group.map((one) => one.scene),
      );
      const episode = scenes.episode(FRAMES, new Random(5));
      const states = Float64Array.from(episode.states.flatMap((row) => [...row]));
      const recording = { name: "demo_0", model: episode.mjcf, states };
      const labels = await Promise.all(
        group.map((one) => labelRecordings(one.scene, [recording], new Cache(folder))),
      );
      const renderer = createRenderer(env.sim.mj, env.sim.model, env.sim.data, { width: SIDE, height: SIDE });
      const seed = new Random(5).uint32(); // the first number that an episode draws places its fixtures
      let seen = 0;
      for (let row = 1; row <= FRAMES; row++) {
        env.start({ seed, state: episode.states[row] });
        for (const [i, one] of group.entries()) {
          // What row − 1 shows: the arm's own reading of its fingertips.
          const positions = labels[i].positions(row);
          const { robot0_eef_pos } = episode.observations[row - 1];
          for (let k = 0; k < 3; k++) expect(positions[6 + k]).toBeCloseTo(robot0_eef_pos[k], 6);

          const [name] = namesIn(one.scene.goal[0]);
          const block = one.scene.objects.find((object) => object.name === name);
          if (one.scene.goal.length > 1 || block?.kind !== "object") continue;
          const points = labels[i].points(row);
          for (const [c, camera] of ["agentview", WRIST_CAMERA].entries()) {
            const [u, v] = points.subarray(6 * c, 6 * c + 2);
            if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) continue;
            const pixel = [Math.floor(v * SIDE), Math.floor(u * SIDE)] as const;
            const body = env.sim.model.geom_bodyid[renderer.geoms(camera).get(...pixel)];
            const isBlock = body === env.sim.id("body", block.rootBody);
            // Another thing at its pixel stands before it: nearer to the eye than the block's middle.
            const eye = env.sim.data.cam_xpos.subarray(3 * env.sim.id("camera", camera)) as Float64Array;
            const away = Math.hypot(...[0, 1, 2].map((k) => positions[k] - eye[k]));
            if (isBlock) seen++;
            else expect(renderer.depth(camera).get(...pixel)).toBeLessThan(away);
          }
        }
      }
      const blocks = group.some(({ scene: { goal } }) => goal.length === 1 && goal[0].length === 3);
      if (blocks) expect(seen).toBeGreaterThan(FRAMES / 2);
    });
  },
);

test("labels are kept, for these states and this model alone", async () => {
  const [{ task, scene }] = groups[0];
  using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: 16 });
  const scenes = new RandomScenes(env, resetDrawsOf({ ...miniRoots, task }), [scene]);
  const episode = scenes.episode(2, new Random(1));
  const cache = new Cache(join(folder, "kept"));
  /** All numbers of the three states. */
  const label = async (change: number, kept = cache): Promise<number[][]> => {
    const states = Float64Array.from(episode.states.flatMap((row) => [...row]));
    states[1] += change; // the arm's first joint
    const labels = await labelRecordings(scene, [{ name: "demo_0", model: episode.mjcf, states }], kept);
    expect(labels.count).toBe(3);
    return [0, 1, 2].map((state) => [...labels.positions(state), ...labels.points(state)]);
  };
  const first = await label(0);
  const entries = cache.entries().length; // the labels and the compiled model
  expect(await label(0)).toEqual(first);
  expect(cache.entries().length).toBe(entries);
  const other = await label(0.1);
  expect(cache.entries().length).toBe(entries + 1);
  expect(other[0]).not.toEqual(first[0]);
  expect(other.slice(1)).toEqual(first.slice(1));
  expect(await label(0, new Cache(null))).toEqual(first);
});

describe("the things that words name", () => {
  const all = groups.flat();
  const interest = ({ task }: (typeof all)[number]): readonly string[] =>
    parseBddl(readText(task.bddlPath, MOST_BDDL_BYTES), task.bddlPath).interest;

  test("are what the task's file lists, the owner in place of its region", () => {
    for (const one of all) {
      const { goal, sites } = one.scene;
      const owner = (name: string): string => sites.find((site) => site.name === name)?.parent ?? name;
      const named = goal.flatMap((term) => namesIn(term).map(owner));
      expect([...new Set(named)].sort()).toEqual([...interest(one)].sort());
      // First what is moved.
      expect(interest(one)[0]).toBe(owner(namesIn(goal[0])[0]));
    }
  });

  /** A random scene of a task, changed, and the labels of its state. */
  async function labelled(one: (typeof all)[number], change: (sim: LiberoEnv["sim"]) => void) {
    using env = await LiberoEnv.open(one.scene, { renderer: createRenderer, imageSize: 16 });
    const scenes = new RandomScenes(env, resetDrawsOf({ ...miniRoots, task: one.task }), [one.scene]);
    const episode = scenes.episode(1, new Random(3));
    env.start({ seed: new Random(3).uint32(), state: episode.states[0] });
    const { sim } = env;
    change(sim);
    const states = Float64Array.of(0, ...sim.views.qpos, ...sim.views.qvel);
    const recording = { name: "demo_0", model: episode.mjcf, states };
    const labels = await labelRecordings(one.scene, [recording], new Cache(folder));
    sim.forward();
    const bodies = one.scene.objects.map(({ name, rootBody }) => {
      const id = sim.id("body", rootBody);
      return [name, Array.from(sim.views.bodyPos.subarray(3 * id, 3 * id + 3), Math.fround)] as const;
    });
    return { positions: [...labels.positions(0)], bodies: new Map(bodies) };
  }

  test("of a task of two parts are those of the first that is not done", async () => {
    const one = all.find(({ scene }) => scene.goal.length === 2)!;
    const [[, first, region], [, second]] = one.scene.goal;
    const before = await labelled(one, () => {});
    expect(before.positions.slice(0, 3)).toEqual(before.bodies.get(first));
    const after = await labelled(one, (sim) => {
      const site = sim.id("site", region);
      const middle = sim.views.sitePos.slice(3 * site, 3 * site + 3);
      sim.views.qpos.set(middle, sim.qposAddress(`${first}_joint0`));
    });
    expect(after.positions.slice(0, 3)).toEqual(after.bodies.get(second));
  });

  test("of a drawer are where it is, and where it will be", async () => {
    const drawers = all.filter(({ scene }) => scene.goal[0].length === 2);
    const ends = { open: -0.15, close: 0.0025 }; // the middles of what counts as open and as shut
    expect(drawers.map(({ scene }) => scene.goal[0][0]).sort()).toEqual(["close", "open"]);
    for (const one of drawers) {
      const end = ends[one.scene.goal[0][0] as keyof typeof ends];
      const { positions } = await labelled(one, (sim) => {
        sim.views.qpos[sim.qposAddress("small_cabinet_1_slide")] = -0.06;
      });
      const way = Math.hypot(...[0, 1, 2].map((k) => positions[k] - positions[3 + k]));
      expect(way).toBeCloseTo(Math.abs(end + 0.06), 5);
    }
  });
});
