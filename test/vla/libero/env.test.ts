import ndarray from "ndarray";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HORIZON, LiberoEnv, type LiberoEnvOptions, type RendererFactory } from "../../../vla/libero/env.ts";
import { EnvError } from "../../../vla/libero/env-error.ts";
import type { Scene } from "../../../vla/libero/scene.ts";
import { NQ, TINY_SCENE, tinyRow } from "./tiny-scene.ts";

const HOLD = [0, 0, 0, 0, 0, 0, 0];
/** A different action at each step, with arm and gripper in motion. */
const swing = (t: number) => [
  Math.sin(t),
  Math.cos(2 * t),
  -0.3,
  0.2 * Math.sin(t),
  0,
  0.4,
  t % 20 < 10 ? 1 : -1,
];

const open = (options: LiberoEnvOptions = {}, scene: Scene = TINY_SCENE) =>
  LiberoEnv.open(scene, { cacheFolder: null, ...options });

function start(env: LiberoEnv, { seed = 0, resets = 0, knob = 0 } = {}): void {
  env.start({ seed, resets, state: tinyRow(knob) });
}

/** Draws a 1 × 1 picture and notes the camera and where the grip site is, as a real renderer would see it. */
function recorder(): {
  frames: { camera: string; site: number[]; time: number }[];
  renderer: RendererFactory;
} {
  const frames: { camera: string; site: number[]; time: number }[] = [];
  return {
    frames,
    renderer: (_, __, data) => ({
      render(camera) {
        frames.push({ camera, site: [...data.site("gripper0_grip_site").xpos], time: data.time });
        return ndarray(Uint8Array.of(frames.length, 0, 0), [1, 1, 3]);
      },
    }),
  };
}

describe("an episode", () => {
  let env: LiberoEnv;
  beforeEach(async () => {
    env = await open();
  });
  afterEach(() => env[Symbol.dispose]());

  /** Hash of 30 swinging steps. */
  function play(options = {}): string {
    start(env, options);
    for (let t = 0; t < 30; t++) env.advance(swing(t));
    return env.trajectoryHash();
  }

  test("is a function of its seed, its initial state and its actions, whatever ran before", async () => {
    const first = play();
    expect(play({ knob: 1 })).not.toBe(first);
    start(env);
    for (let t = 0; t < 7; t++) env.advance([1, 1, 1, 1, 1, 1, 1]);
    expect(play()).toBe(first);
    using other = await open();
    start(other);
    for (let t = 0; t < 30; t++) other.advance(swing(t));
    expect(other.trajectoryHash()).toBe(first);
  });

  test("hashes every step", () => {
    start(env);
    const hashes = new Set([env.trajectoryHash()]);
    for (let t = 0; t < 5; t++) {
      env.advance(HOLD);
      hashes.add(env.trajectoryHash());
      expect(env.trajectoryHash()).toBe(env.trajectoryHash());
    }
    expect(hashes.size).toBe(6);
  });

  test("places fixtures by seed and number of resets", () => {
    for (const [seed, resets] of [
      [0, 0],
      [3, 0],
      [3, 2],
    ]) {
      start(env, { seed, resets });
      const [x, y] = env.sim.data.body("chest_main").xpos;
      expect([x, y]).toEqual([-0.5, 0.5 + 0.01 * seed + 0.001 * resets]);
    }
  });

  test("takes time, qpos and qvel from the row", () => {
    const row = tinyRow(0.3).map((x, i) => (i === 0 ? 1.5 : i > NQ ? 0.01 * i : x));
    env.start({ seed: 0, state: row });
    expect(env.sim.data.time).toBe(1.5);
    expect([...env.sim.views.qpos, ...env.sim.views.qvel]).toEqual(row.slice(1));
    env.advance(HOLD);
    expect(env.sim.data.time).toBeCloseTo(1.55, 12);
  });

  test("says when the goal holds, and never latches it", () => {
    start(env);
    expect(env.advance(HOLD)).toEqual({ success: false, held: [false] });
    const knob = env.sim.qposAddress("stove_button");
    env.sim.views.qpos[knob] = 1;
    expect(env.advance(HOLD)).toEqual({ success: true, held: [true] });
    env.sim.views.qpos[knob] = 0.2;
    expect(env.advance(HOLD)).toEqual({ success: false, held: [false] });
    expect(env.start({ seed: 0, state: tinyRow(1) })).toEqual({ success: true, held: [true] });
  });

  test("hides the sites of gripper and objects, and lights the burner of a stove that is on", () => {
    const alpha = (site: string) => env.sim.views.siteRgba[4 * env.sim.id("site", site) + 3];
    start(env);
    expect(alpha("gripper0_grip_site")).toBe(-0.5);
    expect(alpha("chest_top")).toBeCloseTo(-0.4, 6);
    expect(alpha("table_region")).toBe(0);
    expect(alpha("stove_burner")).toBe(-1);
    env.sim.views.qpos[env.sim.qposAddress("stove_button")] = 1;
    env.advance(HOLD);
    expect(alpha("stove_burner")).toBe(2);
    start(env);
    expect(alpha("stove_burner")).toBe(-1);
    start(env, { knob: 1 });
    expect(alpha("stove_burner")).toBe(2);
  });

  test("closes and opens the gripper at its own pace", () => {
    start(env);
    for (let step = 0; step < 4; step++) env.advance([0, 0, 0, 0, 0, 0, 1]);
    expect([...env.gripper.target]).toEqual([-1, 1]);
    start(env);
    expect([...env.gripper.target]).toEqual([0, 0]);
  });
});

describe("observations", () => {
  test("are sampled at substep 24 with poses one substep older than joints", async () => {
    const { frames, renderer } = recorder();
    using env = await open({ renderer });
    start(env);
    expect(frames).toHaveLength(0);
    for (let t = 0; t < 3; t++) {
      const { observation } = env.step(swing(t));
      expect(env.sampleSubstep).toBe(24);
      expect(frames.map(({ camera }) => camera).slice(2 * t)).toEqual(["agentview", "robot0_eye_in_hand"]);
      const frame = frames[2 * t];
      expect(frame.time).toBeCloseTo(0.05 * t + 0.048, 12);
      expect([...observation.robot0_eef_pos]).toEqual(frame.site);
      expect(observation.agentview_image.get(0, 0, 0)).toBe(2 * t + 1);
      expect(observation.robot0_eye_in_hand_image.get(0, 0, 0)).toBe(2 * t + 2);
      expect(env.observe()).toBe(observation);
      // Joints have made the 24th substep, the site has not.
      const { qpos } = env.sim.views;
      expect([...observation.robot0_joint_pos]).not.toEqual([...qpos.slice(0, 7)]);
      expect(observation.robot0_joint_pos).toEqual(env.readings.robot0_joint_pos);
    }
  });

  test("of the state just set are fresh", async () => {
    const { frames, renderer } = recorder();
    using env = await open({ renderer });
    start(env);
    const observation = env.observe();
    expect(frames).toHaveLength(2);
    expect([...observation.robot0_joint_pos]).toEqual(TINY_SCENE.home.arm);
    expect([...observation.robot0_gripper_qpos]).toEqual([0.02, -0.02]);
    expect([...observation.robot0_eef_pos]).toEqual([...env.sim.data.site("gripper0_grip_site").xpos]);
  });

  test("cost nothing when nobody looks, and looking changes nothing", async () => {
    const { frames, renderer } = recorder();
    using env = await open({ renderer });
    start(env);
    for (let t = 0; t < 5; t++) env.advance(swing(t));
    expect(frames).toHaveLength(0);
    expect(() => env.observe()).toThrow(
      "LiberoEnv.observe: expected a state just set or a step, found an advance",
    );
    const blind = env.trajectoryHash();
    start(env);
    for (let t = 0; t < 5; t++) env.step(swing(t));
    expect(env.trajectoryHash()).toBe(blind);
    expect(env.times.steps).toBe(10);
    expect(env.times.simulate).toBeGreaterThan(0);
  });
});

describe("misuse", () => {
  let env: LiberoEnv;
  beforeEach(async () => {
    env = await open();
  });
  afterEach(() => env[Symbol.dispose]());

  test("an order that the reference would not survive", () => {
    expect(() => env.advance(HOLD)).toThrow(
      "LiberoEnv.advance: expected an initial state to start from, found none (opened)",
    );
    expect(() => env.readings).toThrow(EnvError);
    env.reset({ seed: 0 });
    expect(() => env.advance(HOLD)).toThrow("found none (reset)");
    start(env);
    expect(() => env.step(HOLD)).toThrow("expected an environment with a renderer, found none: use advance");
  });

  test("rows and actions of another width, or not finite", () => {
    expect(() => env.start({ seed: 0, state: tinyRow().slice(1) })).toThrow(
      "expected 49 numbers (time, qpos, qvel), found 48",
    );
    const row = tinyRow();
    row[5] = Number.NaN;
    expect(() => env.start({ seed: 0, state: row })).toThrow(
      "expected finite numbers, at most 10000000000 in size, found NaN at index 5",
    );
    start(env);
    expect(() => env.advance([0, 0, 0, 0, 0, 0])).toThrow("expected an action of 7 numbers, found 6");
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => env.advance([0, 0, bad, 0, 0, 0, 0])).toThrow(`found ${bad} at index 2`);
    // Refused actions leave no trace.
    expect(env.steps).toBe(0);
  });

  test("a step beyond the horizon", () => {
    start(env);
    for (let step = 0; step < HORIZON; step++) env.advance(HOLD);
    expect(() => env.advance(HOLD)).toThrow(
      "expected at most 1000 control steps after a reset, found one more",
    );
    start(env);
    expect(env.advance(HOLD).success).toBe(false);
  });

  test("states that MuJoCo would quietly replace by its default pose", () => {
    const at = (index: number, value: number) => tinyRow().with(index, value);
    const block = 1 + env.sim.qposAddress("red_block_joint0");
    for (const [row, message] of [
      [at(block, 1e11), `at most 10000000000 in size, found ${1e11} at index ${block}`],
      [at(1 + NQ, -1e11), `found ${-1e11} at index ${1 + NQ}`],
      [at(block + 3, 0), `expected a quaternion of length 1 at index ${block + 3}, found length 0`],
      [at(0, -1), "expected a time from 0 on, found -1"],
    ] as const) {
      start(env);
      const before = [...env.sim.views.qpos];
      expect(() => env.start({ seed: 0, state: row })).toThrow(EnvError);
      expect(() => env.start({ seed: 0, state: row })).toThrow(message);
      // Nothing was written.
      expect([...env.sim.views.qpos]).toEqual(before);
    }
  });

  /** Hash of 5 steps after a new start. */
  function afterwards(): string {
    start(env);
    for (let t = 0; t < 5; t++) env.advance(swing(t));
    return env.trajectoryHash();
  }

  // Time starts at 0, where MuJoCo's starting over leaves no trace in the clock.
  test.each<[string, (env: LiberoEnv) => void, string]>([
    [
      "a velocity",
      ({ sim }) => (sim.views.qvel[sim.dofAddress("red_block_joint0")] = 1e12),
      "in QVEL at DOF 9",
    ],
    [
      "a position",
      ({ sim }) => (sim.views.qpos[sim.qposAddress("chest_slide")] = Number.NaN),
      "in QPOS at DOF",
    ],
    ["an applied force", ({ sim }) => (sim.data.qfrc_applied[9] = 1e300), "in QACC at DOF"],
  ])("%s that blows up, in the first step and later", (_, poison, message) => {
    const sound = afterwards();
    for (const steps of [0, 3]) {
      start(env);
      for (let t = 0; t < steps; t++) env.advance(HOLD);
      poison(env);
      expect(() => env.advance(HOLD)).toThrow(EnvError);
      start(env);
      for (let t = 0; t < steps; t++) env.advance(HOLD);
      poison(env);
      expect(() => env.advance(HOLD)).toThrow(
        `LiberoEnv.advance in control step ${steps + 1}: expected a simulation without warnings, found Nan, Inf or huge value`,
      );
      // Neither the broken episode goes on nor the next one notices.
      expect(() => env.advance(HOLD)).toThrow("expected an initial state to start from, found none (broken)");
      expect(() => env.readings).toThrow("found none (broken)");
      env.reset({ seed: 0 });
      expect(env.sim.data.qfrc_applied[9]).toBe(0);
      expect(afterwards()).toBe(sound);
    }
    start(env);
    poison(env);
    expect(() => env.advance(HOLD)).toThrow(message);
  });

  test("an error in the middle leaves nothing to go on from", async () => {
    const crowded = TINY_SCENE.mjcf.replace('<size memory="4M"/>', '<size memory="20K"/>');
    using small = await open({}, { ...TINY_SCENE, mjcf: crowded });
    // Both blocks 1 cm deep in the table: more contacts than MuJoCo has memory for.
    const sunk = tinyRow().with(12, 0.02).with(19, 0.03);
    expect(() => small.start({ seed: 0, state: sunk })).toThrow(/out of memory/);
    expect(() => small.advance(HOLD)).toThrow("found none (broken)");
  });

  test("a scene without a goal, which every state would fulfil", async () => {
    await expect(open({}, { ...TINY_SCENE, goal: [] })).rejects.toThrow(
      "LiberoEnv: expected a goal of at least one term, found none",
    );
  });

  test("a scene that does not know where its fixtures stand", async () => {
    using lost = await open({}, { ...TINY_SCENE, fixturePoses: () => new Map() });
    expect(() => lost.reset({ seed: 0 })).toThrow('expected a pose of fixture "chest", found none');
  });

  test("motors and servos without a range, which would never move", async () => {
    for (const [range, name] of [
      ['ctrlrange="-80 80"', "robot0_torq_j1"],
      ['ctrlrange="0 .04"', "gripper0_gripper_finger_joint1"],
    ]) {
      const mjcf = TINY_SCENE.mjcf.replace(`${range} ctrllimited="true"`, "");
      await expect(open({}, { ...TINY_SCENE, mjcf })).rejects.toThrow(
        `expected actuator "${name}" with a control range, found 0 to 0`,
      );
    }
  });

  test("a goal the scene cannot decide", async () => {
    await expect(open({}, { ...TINY_SCENE, goal: [["open", "stove"]] })).rejects.toThrow(EnvError);
  });
});
