import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Observables, SamplingClock, SUBSTEPS } from "../../../vla/libero/observations.ts";
import { Sim } from "../../../vla/libero/sim.ts";
import { TINY_SCENE, tinyRow } from "./tiny-scene.ts";

describe("SamplingClock", () => {
  test.each([0, 1, 2, 3])(
    "after %d forced samples, samples once per period at substep 26 − p, or 1",
    (forced) => {
      const clock = new SamplingClock();
      for (let i = 0; i < forced; i++) expect(clock.tick(true)).toBe(true);
      for (let period = 0; period < 100; period++) {
        const sampled = Array.from({ length: SUBSTEPS }, (_, i) => (clock.tick() ? i + 1 : 0)).filter(
          (i) => i > 0,
        );
        expect(sampled).toEqual([forced === 0 ? 1 : 26 - forced]);
      }
    },
  );

  test("forgets its phase on reset", () => {
    const clock = new SamplingClock();
    clock.tick(true);
    clock.reset();
    expect(clock.tick()).toBe(true);
    expect(clock.tick()).toBe(false);
  });
});

describe("Observables", () => {
  let sim: Sim;
  beforeAll(async () => {
    sim = await Sim.open(TINY_SCENE, { cacheFolder: null });
    sim.views.qpos.set(tinyRow().slice(1, 1 + sim.nq));
    sim.views.qpos.set([0.1, -0.2, 0.7, 0.5, 0.5, -0.5, 0.5], sim.qposAddress("red_block_joint0"));
    sim.views.qvel.set([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    sim.forward();
  });
  afterAll(() => sim[Symbol.dispose]());

  test("reads joints, hand and movable objects under robosuite's names", () => {
    const readings = new Observables(TINY_SCENE, sim).read();
    const perObject = (name: string) =>
      ["_pos", "_quat", "_to_robot0_eef_pos", "_to_robot0_eef_quat"].map((k) => name + k);
    expect(Object.keys(readings)).toEqual([
      ...["_pos", "_pos_cos", "_pos_sin", "_vel"].map((k) => `robot0_joint${k}`),
      "robot0_eef_pos",
      "robot0_eef_quat",
      "robot0_gripper_qpos",
      "robot0_gripper_qvel",
      ...perObject("red_block"),
      ...perObject("blue_block"),
    ]);
    expect([...readings.robot0_joint_pos]).toEqual(TINY_SCENE.home.arm);
    expect([...readings.robot0_joint_pos_cos]).toEqual(TINY_SCENE.home.arm.map(Math.cos));
    expect([...readings.robot0_joint_vel]).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect([...readings.robot0_gripper_qpos]).toEqual([0.02, -0.02]);
    expect([...readings.robot0_gripper_qvel]).toEqual([8, 9]);
    expect([...readings.red_block_pos]).toEqual([0.1, -0.2, 0.7]);
    // MuJoCo's wxyz, reported as xyzw.
    expect([...readings.red_block_quat]).toEqual([0.5, -0.5, 0.5, 0.5]);
    expect(readings.robot0_eef_pos).toEqual(sim.data.site("gripper0_grip_site").xpos);
    const [w, x, y, z] = sim.data.body("robot0_right_hand").xquat;
    expect([...readings.robot0_eef_quat]).toEqual([x, y, z, w]);
  });

  test("an object's pose in the hand's frame, seen from the world again, is its pose", () => {
    const r = new Observables(TINY_SCENE, sim).read();
    for (const name of ["red_block", "blue_block"]) {
      const turned = turn(r.robot0_eef_quat, r[`${name}_to_robot0_eef_pos`]);
      // The reference computes these in float32.
      for (let i = 0; i < 3; i++) expect(turned[i] + r.robot0_eef_pos[i]).toBeCloseTo(r[`${name}_pos`][i], 6);
      const probe = [0.3, -0.5, 0.8];
      const both = turn(r.robot0_eef_quat, turn(r[`${name}_to_robot0_eef_quat`], probe));
      const once = turn(r[`${name}_quat`], probe);
      for (let i = 0; i < 3; i++) expect(both[i]).toBeCloseTo(once[i], 6);
    }
  });

  test("readings are copies", () => {
    const observables = new Observables(TINY_SCENE, sim);
    const before = observables.read();
    const kept = [...before.red_block_pos];
    sim.views.qpos[sim.qposAddress("red_block_joint0")] += 1;
    sim.forward();
    expect([...before.red_block_pos]).toEqual(kept);
    expect(observables.read().red_block_pos[0]).toBe(kept[0] + 1);
  });
});

/** v turned by the unit quaternion xyzw: v + 2 u × (u × v + w v). */
function turn([x, y, z, w]: ArrayLike<number> & Iterable<number>, [a, b, c]: Iterable<number>): number[] {
  const [i, j, k] = [y * c - z * b + w * a, z * a - x * c + w * b, x * b - y * a + w * c];
  return [a + 2 * (y * k - z * j), b + 2 * (z * i - x * k), c + 2 * (x * j - y * i)];
}
