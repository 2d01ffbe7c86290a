import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rollout } from "../../../vla/eval/rollout.ts";
import { SwappedGoal } from "../../../vla/eval/swapped-goal.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { NINA } from "../../../vla/libero/protocols.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import { findTask, loadSuite } from "../../../vla/libero/suites.ts";
import type { Policy } from "../../../vla/policies/policy.ts";
import { Expert } from "../../../vla/suites/mini/expert.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const PUSH = "DRAWER_SCENE3_push_the_drawer_shut";
const PULL = "DRAWER_SCENE3_pull_the_drawer_open";
const shut = [["close", "small_cabinet_1_drawer_region"]] as const;
const quiet = { interrupted: () => false, logProb: false, stepped: () => {} };

describe("a start of pulling, with the words of pushing", () => {
  const task = findTask(loadSuite(miniRoots.libero, MINI), PULL);
  const [state] = readInitStates(task.initPath);
  const start = { init: 0, state, seed: 0, policySeed: 0, instruction: "push the drawer shut" };
  let env: LiberoEnv;
  beforeAll(async () => {
    const scene = composeScene({ ...miniRoots, task });
    env = await LiberoEnv.open(scene, { cacheFolder: null, renderer: createRenderer, imageSize: 16 });
  });
  afterAll(() => env[Symbol.dispose]());

  /** The expert that has heard of some task, and what came of it. */
  async function played(heard: string, maxSteps: number) {
    let expert: Expert;
    const policy: Policy = {
      name: "expert",
      reset: (seed) => {
        expert = new Expert(heard, env.sim, seed);
      },
      act: () => ({ actions: [expert.act()] }),
    };
    const stage = new SwappedGoal(env, shut);
    const { episode } = (await rollout(stage, policy, start, NINA, maxSteps, quiet))!;
    return { ...stage.held, outcome: episode.outcome, steps: episode.steps };
  }

  test("an expert that listens does what it was told, and ends there", async () => {
    const { steps, ...held } = await played(PUSH, 300);
    expect(held).toEqual({ outcome: "success", toldGoal: true, otherGoal: false });
    expect(steps).toBeLessThan(100);
  });

  test("an expert that does what it always did is seen to, and is given all its time", async () => {
    expect(await played(PULL, 90)).toEqual({
      outcome: "failure",
      steps: 90,
      toldGoal: false,
      otherGoal: true,
    });
  });

  test("a new episode has done nothing yet", async () => {
    await played(PULL, 90);
    const stage = new SwappedGoal(env, shut);
    expect(stage.start({ seed: 0, state })).toEqual({ success: false, held: [false] });
    expect(stage.held).toEqual({ toldGoal: false, otherGoal: false });
  });

  test("a goal that the scene cannot decide is refused", () => {
    expect(() => new SwappedGoal(env, [["on", "blue_block_1", "moon"]])).toThrow(/\(on blue_block_1 moon\)/);
  });
});
