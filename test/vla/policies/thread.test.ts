import ndarray from "ndarray";
import { expect, test } from "vitest";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import type { Image, Observation } from "../../../vla/observation.ts";
import {
  type EpisodeKey,
  loadPolicy,
  type PolicyFiles,
  type PolicySource,
} from "../../../vla/policies/index.ts";
import { threadedPolicy } from "../../../vla/policies/thread.ts";

const files: PolicyFiles = { checkpoint: EMBEDDED.checkpoint, sampling: { actionsPerQuery: 6 } };
const key = { instruction: "push the drawer shut" } as EpisodeKey;

const picture = (seed: number): Image => {
  const levels = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * seed) % 251);
  return ndarray(levels, [64, 64, 3]).step(-1, -1, 1);
};
const seen: Observation = {
  agentview_image: picture(3),
  robot0_eye_in_hand_image: picture(7),
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: new Float64Array(3),
  robot0_eef_quat: new Float64Array(4),
  robot0_gripper_qpos: new Float64Array(2),
};

test("plans in a thread what it plans here, whatever the order of episodes", async () => {
  const [here, there] = await Promise.all([loadPolicy("nina", files), threadedPolicy("nina", files)]);
  const { forEpisode: _, accepted: _accepted, ...described } = there;
  expect(here).toMatchObject(described);
  const play = async (source: PolicySource) => {
    const policy = source.forEpisode(key);
    await source.accepted?.();
    policy.reset(5);
    const first = await policy.act(seen, key.instruction, { logProb: true });
    return [first, await policy.act(seen, key.instruction)];
  };
  const [expected, got] = [await play(here), await play(there)];
  expect(got).toEqual(expected);
  expect(got[0].actions).toHaveLength(6);
  expect(await play(there)).toEqual(expected);
});

test("tells what cannot be loaded, read or planned", async () => {
  await expect(threadedPolicy("nina", { ...files, checkpoint: "absent" })).rejects.toThrow(
    "checkpoint absent: ",
  );
  const source = await threadedPolicy("nina", files);
  const long = source.forEpisode({ instruction: "push ".repeat(200) } as EpisodeKey);
  await expect(source.accepted?.()).rejects.toThrow(/expected a prompt of at most \d+ tokens/);
  await expect(long.act(seen, key.instruction)).rejects.toThrow(/expected a prompt of at most/);
  const wrong = { ...seen, agentview_image: ndarray(new Uint8Array(6), [2, 1, 3]) };
  await expect(source.forEpisode(key).act(wrong, key.instruction)).rejects.toThrow(
    "expected a square picture",
  );
});
