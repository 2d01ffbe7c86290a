import { expect, test } from "vitest";
import { NINA } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import { loadPolicy } from "../../../vla/policies/index.ts";

test("zero plans actions of seven zeros", async () => {
  const source = await loadPolicy("zero", { checkpoint: "", sampling: {} });
  const policy = source.forEpisode({
    suite: "mini",
    task: "push",
    told: "push",
    instruction: "push it",
    init: 0,
    seed: 0,
    protocol: NINA,
    contacts: "native",
    mujoco: "3",
  });
  policy.reset(1);
  const { actions } = await policy.act({} as Observation, "push");
  expect(actions.length).toBeGreaterThan(0);
  for (const action of actions) expect(Array.from(action)).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

test("replay without a file says so", async () => {
  await expect(loadPolicy("replay", { checkpoint: "", sampling: {} })).rejects.toThrow(
    "expected the file of recorded actions",
  );
});
