import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "fast-png";
import ndarray from "ndarray";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeLiberoDemonstrations } from "../../vla/data/libero-hdf5-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-inspect-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "task_demo.hdf5");
const sheet = join(folder, "sheet.png");

const inspect = (...args: string[]): string =>
  execFileSync(process.execPath, ["--import", "tsx", "vla/inspect.ts", ...args], { encoding: "utf8" });

/** Bottom row red, the rest black. */
const picture = ndarray(
  Uint8Array.from({ length: 48 }, (_, i) => (i < 12 && i % 3 === 0 ? 255 : 0)),
  [4, 4, 3],
);
const seen = {
  agentview_image: picture,
  robot0_eye_in_hand_image: picture,
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: new Float64Array(3),
  robot0_eef_quat: Float64Array.of(0, 0, 0, 1),
  robot0_gripper_qpos: new Float64Array(2),
};

beforeAll(async () => {
  const episode = {
    mjcf: "<mujoco/>",
    actions: [1, -1, 0].map((x) => [x, 0, 0, 0, 0, 0, 1]),
    states: [0, 1, 2].map((time) => Float64Array.of(time, 5)),
    observations: [seen, seen, seen],
  };
  const header = {
    environment: "Libero_Tabletop_Manipulation",
    problem: "libero_tabletop_manipulation",
    instruction: "push the drawer shut",
    bddl: { path: "task.bddl", text: "" },
    imageSize: 4,
  };
  await writeLiberoDemonstrations(file, header, [episode, episode]);
});

test("tells episodes, shapes and how actions are spread", () => {
  const found = JSON.parse(inspect(file, "--json"));
  expect(found).toMatchObject({
    instruction: "push the drawer shut",
    episodes: [
      { name: "demo_0", length: 3 },
      { name: "demo_1", length: 3 },
    ],
    steps: 6,
    state: 2,
    observation: { agentview_image: [4, 4, 3], robot0_joint_pos: [7] },
  });
  expect(found.actions[0]).toEqual({ least: -1, mean: 0, deviation: Math.sqrt(2 / 3), most: 1 });
  expect(found.actions[6]).toEqual({ least: 1, mean: 1, deviation: 0, most: 1 });
  expect(inspect(file)).toMatch(/2 episodes, 6 steps; shortest 3, longest 3/);
});

test("of a folder it shows each file, and what they hold together", async () => {
  const other = join(folder, "other_demo.hdf5");
  copyFileSync(file, other);
  try {
    expect(inspect(folder)).toMatch(
      /other_demo\.hdf5: task.*task_demo\.hdf5: task.*\n2 files, 4 episodes, 12 steps\n/s,
    );
    const lines = inspect(folder, "--json").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).file)).toEqual([other, file]);
  } finally {
    rmSync(other);
  }
});

test("the sheet shows pictures upright", () => {
  inspect(file, "--sheet", sheet, "--episodes", "1");
  const { width, height, data } = decode(readFileSync(sheet));
  expect([width, height]).toEqual([8 * 8 + 4, 2 * 8 + 4]);
  const pixel = (x: number, y: number) => [...data.slice(3 * (y * width + x), 3 * (y * width + x) + 3)];
  expect(pixel(4, 4)).toEqual([0, 0, 0]); // top of the first picture
  expect(pixel(4, 7)).toEqual([255, 0, 0]); // its last row
  expect(pixel(0, 0)).toEqual([255, 255, 255]);
});
