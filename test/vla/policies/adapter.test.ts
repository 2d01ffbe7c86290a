import ndarray from "ndarray";
import { expect, test } from "vitest";
import { NINA, OPENPI } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import { adapted } from "../../../vla/policies/adapter.ts";
import type { Policy } from "../../../vla/policies/policy.ts";

test("pictures are turned for protocols that rotate them, as views; all else is the policy's own", async () => {
  const told: unknown[] = [];
  const plan = { actions: [[0, 0, 0, 0, 0, 0, 0]] };
  const policy: Policy = {
    name: "test",
    reset: (seed) => told.push(seed),
    act(seen, instruction, request) {
      told.push(seen, instruction, request);
      return plan;
    },
    [Symbol.dispose]: () => told.push("over"),
  };
  expect(adapted(policy, NINA)).toBe(policy);

  const image = ndarray(Uint8Array.of(1, 2, 3, 4, 5, 6), [2, 1, 3]);
  const seen = { agentview_image: image, robot0_eye_in_hand_image: image } as unknown as Observation;
  const shown = adapted(policy, OPENPI);
  shown.reset(5);
  expect(await shown.act(seen, "go", { logProb: true })).toBe(plan);
  shown[Symbol.dispose]?.();
  const [seed, turned, ...rest] = told as [number, Observation, ...unknown[]];
  expect([shown.name, seed, ...rest]).toEqual(["test", 5, "go", { logProb: true }, "over"]);
  for (const picture of [turned.agentview_image, turned.robot0_eye_in_hand_image]) {
    expect(picture.data).toBe(image.data);
    expect([picture.get(0, 0, 2), picture.get(1, 0, 2)]).toEqual([6, 3]);
  }
});
