import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import { findTask, loadSuite } from "../../../vla/libero/suites.ts";
import type { Image } from "../../../vla/observation.ts";
import type { Levels } from "../../../vla/perturb/dimensions.ts";
import type { EpisodeName } from "../../../vla/perturb/draws.ts";
import { Look } from "../../../vla/perturb/look.ts";
import { overlapFault } from "../../../vla/perturb/overlap.ts";
import { comeToRest } from "../../../vla/perturb/rest.ts";
import { PerturbedStage } from "../../../vla/perturb/stage.ts";
import { findStart, NoSoundStart } from "../../../vla/perturb/start.ts";
import { type PerturbedTask, perturbTask } from "../../../vla/perturb/task.ts";

const suite = loadSuite(EMBEDDED.libero, EMBEDDED.suite);
const [PLATE, DRAWER] = [4, 7].map((index) => findTask(suite, index));
const SIDE = 24;

const nameOf = (task: { readonly name: string }, init: number, seed = 0): EpisodeName => ({
  seed,
  suite: suite.name,
  task: task.name,
  init,
});

/** A task under perturbations in an environment of its own. */
async function open(task: typeof PLATE, levels: Levels, seed = 0) {
  const perturbed = perturbTask({ ...EMBEDDED, task }, suite, levels, seed);
  const env = await LiberoEnv.open(perturbed.scene, {
    cacheFolder: null,
    renderer: createRenderer,
    imageSize: SIDE,
  });
  const states = readInitStates(task.initPath);
  return { task, perturbed, env, look: new Look(env, perturbed.height), states };
}
type Opened = Awaited<ReturnType<typeof open>>;

/** A few steps of an episode, and what was seen in the last. */
function play(
  { task, perturbed, env, look, states }: Opened,
  levels: Levels,
  init = 0,
): { hash: string; front: Image; wrist: Image; change: PerturbedStage["change"] } {
  const under: PerturbedTask = { ...perturbed, levels };
  const name = nameOf(task, init);
  const stage = new PerturbedStage(env, under, look, name, findStart(env, under, states[init], name));
  stage.start({ seed: 0, state: states[init] });
  for (let i = 0; i < 2; i++) stage.advance([0.5, 0.2, -1, 0, 0, 0.1, 1]);
  const { observation } = stage.step([0, 0, 0, 0, 0, 0, -1]);
  return {
    hash: stage.trajectoryHash(),
    front: observation.agentview_image,
    wrist: observation.robot0_eye_in_hand_image,
    change: stage.change,
  };
}

describe("what is seen", () => {
  let opened: Opened;
  let plain: ReturnType<typeof play>;
  beforeAll(async () => {
    opened = await open(PLATE, {});
    plain = play(opened, {});
  });
  afterAll(() => opened.env[Symbol.dispose]());

  test("is as the suite has it at no level, bit for bit", async () => {
    const scene = composeScene({ ...EMBEDDED, task: PLATE });
    using env = await LiberoEnv.open(scene, {
      cacheFolder: null,
      renderer: createRenderer,
      imageSize: SIDE,
    });
    env.start({ seed: 0, state: opened.states[0] });
    for (let i = 0; i < 2; i++) env.advance([0.5, 0.2, -1, 0, 0, 0.1, 1]);
    const { observation } = env.step([0, 0, 0, 0, 0, 0, -1]);
    expect(plain.hash).toBe(env.trajectoryHash());
    expect(plain.front.data).toEqual(observation.agentview_image.data);
    expect(plain.wrist.data).toEqual(observation.robot0_eye_in_hand_image.data);
    expect(plain.change).toEqual({});
  });

  test.each([
    { dimension: "camera", sees: ["front"] },
    { dimension: "light", sees: ["front", "wrist"] },
    { dimension: "textures", sees: ["front", "wrist"] },
    { dimension: "noise", sees: ["front", "wrist"] },
  ] as const)("changes with $dimension, and nothing moves otherwise", ({ dimension, sees }) => {
    const [once, again] = [play(opened, { [dimension]: 5 }), play(opened, { [dimension]: 5 })];
    expect(once.hash).toBe(plain.hash);
    for (const camera of ["front", "wrist"] as const) {
      expect(once[camera].data).toEqual(again[camera].data);
      const same = Buffer.compare(once[camera].data, plain[camera].data) === 0;
      expect(`${camera} ${same}`).toBe(`${camera} ${!(sees as readonly string[]).includes(camera)}`);
    }
    expect(Object.keys(once.change)).toEqual([dimension]);
    // Whatever an episode saw, the next one sees its own.
    expect(play(opened, {}).front.data).toEqual(plain.front.data);
    expect(play(opened, { [dimension]: 5 }, 1).front.data).not.toEqual(once.front.data);
  });

  test("is the same picture however often it is looked at, and another one later", () => {
    const under: PerturbedTask = { ...opened.perturbed, levels: { noise: 3 } };
    const init = Array.from({ length: 50 }, (_, i) => i).find(
      (i) => play(opened, { noise: 3 }, i).change.noise?.kind === "grain",
    )!;
    const stage = new PerturbedStage(opened.env, under, opened.look, nameOf(PLATE, init), null);
    stage.start({ seed: 0, state: opened.states[init] });
    const [first, second] = [stage.observe(), stage.observe()];
    expect(first.agentview_image.data).toEqual(second.agentview_image.data);
    expect(first.agentview_image.data).not.toEqual(first.robot0_eye_in_hand_image.data);
    const hold = [0, 0, 0, 0, 0, 0, 0];
    const noiseOf = ({ observation }: ReturnType<PerturbedStage["step"]>) => observation.agentview_image.data;
    expect(noiseOf(stage.step(hold))).not.toEqual(noiseOf(stage.step(hold)));
  });
});

describe("a start", () => {
  const inits = fc.integer({ min: 0, max: 49 });

  /** Everything that changes a start, at once: one scene with distractors, and a third of the seconds to wait for. */
  const levels = { position: 5, distractors: 4, robot: 5 } as const;
  let opened: Opened;
  beforeAll(async () => {
    opened = await open(PLATE, levels);
  });
  afterAll(() => opened.env[Symbol.dispose]());

  test.prop([inits], { numRuns: 2 })("is sound, and found again", (init) => {
    const { env, perturbed, states } = opened;
    const name = nameOf(PLATE, init);
    const start = findStart(env, perturbed, states[init], name)!;
    expect(findStart(env, perturbed, states[init], name)).toEqual(start);

    expect(env.start({ seed: 0, ...start }).success).toBe(false);
    expect(
      overlapFault(
        env,
        perturbed.scene.objects.map((object) => [object.name]),
      ),
    ).toBeNull();
    expect(overlapFault(env, [["robot"]])).toBeNull();
    const { things } = comeToRest(env);
    for (const { at, speed } of things.values()) {
      expect(speed).toBeLessThan(0.02);
      expect(at[2]).toBeGreaterThan(perturbed.height - 0.01); // nothing fell off the table
    }
  });

  test("moves a cabinet with its drawer by modelled poses alone, and leaves the state", async () => {
    const drawer = await open(DRAWER, { position: 4 });
    using env = drawer.env;
    const start = findStart(env, drawer.perturbed, drawer.states[0], nameOf(DRAWER, 0))!;
    expect(Array.from(start.state)).toEqual(Array.from(drawer.states[0]));
    const [dx, dy] = start.moved.get("small_cabinet_1")!;
    expect(Math.hypot(dx, dy)).toBeCloseTo(0.08, 9);
    const cabinet = () => {
      const body = env.sim.id("body", "small_cabinet_1_main");
      return Array.from(env.sim.views.bodyPos.slice(3 * body, 3 * body + 3));
    };
    env.start({ seed: 0, state: drawer.states[0] });
    const before = cabinet();
    env.start({ seed: 0, ...start });
    expect(cabinet()[0]).toBeCloseTo(before[0] + dx, 9);
    expect(cabinet()[1]).toBeCloseTo(before[1] + dy, 9);
  });

  test("has the distractors of lower levels too, and none that the task speaks of", () => {
    const kinds = (level: 1 | 2 | 5, seed = 0) =>
      perturbTask({ ...EMBEDDED, task: PLATE }, suite, { distractors: level }, seed).distractors.map(
        ({ facts }) => facts.category,
      );
    const all = kinds(5);
    expect(all).toHaveLength(5);
    expect(kinds(2)).toEqual(all.slice(0, 2));
    expect(all).not.toContain("red_block");
    expect(all).not.toContain("white_plate");
    expect(kinds(1)).toEqual(kinds(1));
    expect(new Set([all, kinds(5, 1), kinds(5, 2)].map((drawn) => drawn.join())).size).toBeGreaterThan(1);
  });

  test("is refused where no draw is sound", () => {
    const { env, perturbed, states } = opened;
    const block = [states[0][10], states[0][11]] as const;
    const blocked = {
      ...perturbed,
      levels: { distractors: 4 },
      room: [...block, ...block] as const,
    } as const;
    const find = () => findStart(env, blocked, states[0], nameOf(PLATE, 0));
    expect(find).toThrow(NoSoundStart);
    expect(find).toThrow(
      `${PLATE.name}, initial state 0, distractors:4: expected a sound start in 50 draws, ` +
        "found none (the last: no room for a distractor)",
    );
  });
});
