import { beforeAll, describe, expect, test } from "vitest";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { moveCamera, recolour } from "../../../vla/libero/disturb.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import type { Scene } from "../../../vla/libero/scene.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import type { Image } from "../../../vla/observation.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";
import { TINY_SCENE } from "./tiny-scene.ts";

const tasks = loadSuite(miniRoots.libero, MINI).tasks;
const task = tasks.find(({ instruction }) => instruction === "put the red block on the plate")!;
const scene = composeScene({ ...miniRoots, task });
const [state] = readInitStates(task.initPath, scene.layout);

interface Played {
  readonly hash: string;
  readonly agentview: Image;
  readonly wrist: Image;
  /** Pose of the camera in front: position, and axes as columns. */
  readonly position: readonly number[];
  readonly axes: readonly number[];
}

async function play(played: Scene): Promise<Played> {
  using env = await LiberoEnv.open(played, { renderer: createRenderer, imageSize: 48 });
  env.start({ seed: 0, state });
  for (let i = 0; i < 3; i++) env.advance([0.5, 0.2, -1, 0, 0, 0.1, 1]);
  const { observation } = env.step([0, 0, 0, 0, 0, 0, -1]);
  const { data } = env.sim;
  const id = env.sim.id("camera", "agentview");
  return {
    hash: env.trajectoryHash(),
    agentview: observation.agentview_image,
    wrist: observation.robot0_eye_in_hand_image,
    position: Array.from(data.cam_xpos.slice(3 * id, 3 * id + 3) as Float64Array),
    axes: Array.from(data.cam_xmat.slice(9 * id, 9 * id + 9) as Float64Array),
  };
}

/** How many pixels of two pictures differ. */
const different = (a: Image, b: Image): number => {
  let count = 0;
  for (let i = 0; i < a.data.length; i += 3)
    if ([0, 1, 2].some((c) => a.data[i + c] !== b.data[i + c])) count++;
  return count;
};

describe("a disturbed scene", () => {
  let plain: Played;
  beforeAll(async () => {
    plain = await play(scene);
  });

  test("moves no object otherwise: a camera moved", async () => {
    const moved = await play(moveCamera(scene, "agentview", { right: 0.03, turn: 4 }));
    expect(moved.hash).toBe(plain.hash);
    expect(different(moved.wrist, plain.wrist)).toBe(0);
    expect(different(moved.agentview, plain.agentview)).toBeGreaterThan(48 * 48 * 0.3);

    const column = (axes: readonly number[], k: number): number[] => [axes[k], axes[3 + k], axes[6 + k]];
    const right = column(plain.axes, 0);
    moved.position.forEach((p, k) => {
      expect(p).toBeCloseTo(plain.position[k] + 0.03 * right[k], 9);
    });
    // Up stays, and what was ahead is now 4 degrees to the right.
    const dot = (a: number[], b: number[]): number => a.reduce((sum, x, k) => sum + x * b[k], 0);
    const [up, back] = [1, 2].map((k) => [column(plain.axes, k), column(moved.axes, k)]);
    expect(dot(up[0], up[1])).toBeCloseTo(1, 9);
    expect(dot(back[0], back[1])).toBeCloseTo(Math.cos((4 * Math.PI) / 180), 6);
    expect(dot(back[1], right)).toBeCloseTo(Math.sin((4 * Math.PI) / 180), 6);
  });

  test("moves no object otherwise: an object in another colour", async () => {
    const { hash, agentview } = await play(recolour(scene, "red_block_1", [0, 1, 0]));
    expect(hash).toBe(plain.hash);
    const count = different(agentview, plain.agentview);
    expect(count).toBeGreaterThan(0); // a block of 4 cm has few of 48 by 48 pixels
    expect(count).toBeLessThan(48 * 48 * 0.05);
  });

  test("is the scene itself where nothing is changed", () => {
    const same = moveCamera(scene, "agentview", { right: 0, turn: 0 });
    expect(same.mjcf.split("\n").length).toBe(scene.mjcf.split("\n").length);
    const pose = (text: string): number[] =>
      /name="agentview" pos="([^"]+)" quat="([^"]+)"/.exec(text)!.slice(1).join(" ").split(" ").map(Number);
    pose(same.mjcf).forEach((value, i) => {
      expect(value).toBeCloseTo(pose(scene.mjcf)[i], 12);
    });
    expect(same.mjcf.replace(/name="agentview".*/, "")).toBe(scene.mjcf.replace(/name="agentview".*/, ""));
  });

  test("is refused for what the scene lacks", () => {
    expect(() => moveCamera(scene, "above", { right: 1, turn: 0 })).toThrow(
      'a camera "above" of the world, found none',
    );
    expect(() => recolour(scene, "pink_block_1", [1, 0, 0])).toThrow("red_block_1, ");
    expect(() => moveCamera(TINY_SCENE, "agentview", { right: 0, turn: 1 })).toThrow(
      'camera "agentview" placed by pos and quat, found with xyaxes',
    );
  });
});
