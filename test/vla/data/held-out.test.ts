import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ndarray from "ndarray";
import { afterAll, expect, test } from "vitest";
import { ExampleSet } from "../../../vla/data/example-set.ts";
import { writeLiberoDemonstrations } from "../../../vla/data/libero-hdf5-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-held-out-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file whose episode i has the states (i, 0, 0). */
async function write(task: string, episodes: number): Promise<void> {
  const black = ndarray(new Uint8Array(12), [2, 2, 3]);
  const seen = {
    agentview_image: black,
    robot0_eye_in_hand_image: black,
    robot0_joint_pos: new Float64Array(7),
    robot0_eef_pos: new Float64Array(3),
    robot0_eef_quat: Float64Array.of(0, 0, 0, 1),
    robot0_gripper_qpos: new Float64Array(2),
  };
  const header = {
    environment: "Libero",
    problem: "libero",
    instruction: task,
    bddl: { path: `libero/bddl_files/mini/${task}.bddl`, text: "(define …)" },
    imageSize: 2,
  };
  const recorded = Array.from({ length: episodes }, (_, i) => ({
    mjcf: `<mujoco model="${task} ${i}"/>`,
    actions: [new Float64Array(7)],
    states: [Float64Array.of(i, 0, 0)],
    observations: [seen],
  }));
  await writeLiberoDemonstrations(join(folder, `${task}_demo.hdf5`), header, recorded);
}

test("every twentieth episode of a file is held out, and an episode knows its task and its model", async () => {
  await write("long", 46);
  await write("short", 4);
  const kept = async (split?: "training" | "held out"): Promise<string[]> => {
    using set = await ExampleSet.open({ path: folder, pairing: "stored", horizon: 1, split });
    return set.episodes.map(({ task, states, model }) => {
      const [number] = states(0, 1);
      expect(model).toBe(`<mujoco model="${task} ${number}"/>`);
      return `${task} ${number}`;
    });
  };
  const all = await kept();
  const heldOut = ["long 4", "long 24", "long 44"];
  expect(all.length).toBe(50);
  expect(await kept("held out")).toEqual(heldOut);
  expect(await kept("training")).toEqual(all.filter((name) => !heldOut.includes(name)));

  rmSync(join(folder, "long_demo.hdf5"));
  await expect(kept("held out")).rejects.toThrow(
    "expected 5 episodes in a file, to hold one out, found fewer",
  );
});
