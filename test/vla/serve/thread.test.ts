import ndarray from "ndarray";
import { expect, test } from "vitest";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import type { Image, Observation } from "../../../vla/observation.ts";
import {
  type EpisodeKey,
  endPolicies,
  loadPolicy,
  type PolicyFiles,
  type PolicySource,
} from "../../../vla/policies/index.ts";
import { threadedPolicy } from "../../../vla/serve/thread.ts";

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

test("plans in a thread what it plans here, several at once, and tells what it cannot read", async () => {
  const [here, there] = await Promise.all([loadPolicy("nina", files), threadedPolicy(files)]);
  const { forEpisode: _, [Symbol.asyncDispose]: _end, ...described } = there;
  expect(here).toMatchObject(described);
  const play = async (source: PolicySource, seed: number) => {
    const policy = source.forEpisode(key);
    policy.reset(seed);
    const first = await policy.act(seen, key.instruction, { logProb: true });
    const second = await policy.act(seen, key.instruction);
    policy[Symbol.dispose]?.();
    return [first, second];
  };
  const expected = [await play(here, 5), await play(here, 6)];
  expect(expected[0][0].actions).toHaveLength(6);
  expect(await Promise.all([play(there, 5), play(there, 6)])).toEqual(expected);

  const long = there.forEpisode({ instruction: "push ".repeat(200) } as EpisodeKey);
  long.reset(0);
  await expect(long.act(seen, key.instruction)).rejects.toThrow(/expected a prompt of at most \d+ tokens/);
  const wrong = { ...seen, agentview_image: ndarray(new Uint8Array(6), [2, 1, 3]) };
  await expect(there.forEpisode(key).act(wrong, key.instruction)).rejects.toThrow(
    "expected a square picture",
  );

  const waiting = expect(there.forEpisode(key).act(seen, key.instruction)).rejects.toThrow(
    "its thread has ended",
  );
  await Promise.all([endPolicies(there), endPolicies(here)]);
  await waiting;
});

test("tells why a checkpoint cannot be loaded", async () => {
  await expect(threadedPolicy({ ...files, checkpoint: "absent" })).rejects.toThrow("checkpoint absent: ");
});
