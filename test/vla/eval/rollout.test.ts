import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { describe, expect } from "vitest";
import { rollout, type Stage, type Start, type Watcher } from "../../../vla/eval/rollout.ts";
import type { EpisodeStart } from "../../../vla/libero/env.ts";
import { NINA, OPENVLA, type Protocol } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import type { ActionChunk, Policy } from "../../../vla/policies/policy.ts";

const start: Start = { init: 3, state: [0, 1, 2], seed: 5, policySeed: 99, instruction: "push" };
const still = [0, 0, 0, 0, 0, 0, 0];

/** Writes down what is asked of it; succeeds at one step (settle steps included), or breaks at another. */
class FakeStage implements Stage {
  readonly log: string[] = [];
  readonly #succeedsAt: number;
  readonly #breaksAt: number;
  #steps = 0;

  constructor(succeedsAt = Number.POSITIVE_INFINITY, breaksAt = Number.POSITIVE_INFINITY) {
    this.#succeedsAt = succeedsAt;
    this.#breaksAt = breaksAt;
  }

  start({ seed, state }: EpisodeStart) {
    this.log.push(`start ${seed} ${Array.from(state)}`);
    return this.#outcome();
  }

  step(action: ArrayLike<number>) {
    const outcome = this.advance(action);
    this.log.push("look");
    return { ...outcome, observation: this.observe() };
  }

  advance(action: ArrayLike<number>) {
    if (++this.#steps === this.#breaksAt) throw new Error("simulator: diverged");
    this.log.push(`act ${Array.from(action)}`);
    return this.#outcome();
  }

  observe(): Observation {
    const image = ndarray(Uint8Array.of(this.#steps, 1, 2, 3, 4, 5), [2, 1, 3]);
    return { agentview_image: image, robot0_eye_in_hand_image: image } as unknown as Observation;
  }

  get times() {
    return { simulate: 2 * this.#steps, render: 3 * this.#steps, steps: this.#steps };
  }

  trajectoryHash() {
    return `hash ${this.#steps}`;
  }

  #outcome() {
    const success = this.#steps === this.#succeedsAt;
    return { success, held: [success] };
  }
}

const planner = (act: Policy["act"]): Policy => ({ name: "test", reset() {}, act });
const chunksOf = (n: number) => planner(() => ({ actions: Array.from({ length: n }, () => still) }));
const alone: Watcher = { interrupted: () => false, stepped() {} };
const play = (stage: Stage, policy: Policy, maxSteps = 30, watcher = alone, protocol: Protocol = NINA) =>
  rollout(stage, policy, start, protocol, maxSteps, watcher);

describe("rollout", () => {
  test("starts, settles, then plays", async () => {
    const stage = new FakeStage();
    await play(
      stage,
      planner(() => ({ actions: [[1, 0, 0, 0, 0, 0, 0]] })),
      1,
    );
    const settling = Array.from({ length: 5 }, () => `act ${still}`);
    expect(stage.log).toEqual(["start 5 0,1,2", ...settling, "look", "act 1,0,0,0,0,0,0", "look"]);
  });

  test("settles as the protocol says", async () => {
    const stage = new FakeStage();
    await play(stage, chunksOf(1), 1, alone, OPENVLA);
    expect(stage.log.slice(1, 11)).toEqual(Array.from({ length: 10 }, () => "act 0,0,0,0,0,0,-1"));
  });

  test.prop([
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 60 }),
  ])(
    "stops at the first success or at the limit, whatever the chunk",
    async (chunk, maxSteps, succeedsAfter) => {
      const { episode, timing, actions } = (await play(
        new FakeStage(5 + succeedsAfter),
        chunksOf(chunk),
        maxSteps,
      ))!;
      expect(episode.outcome).toBe(succeedsAfter <= maxSteps ? "success" : "failure");
      expect(episode.steps).toBe(Math.min(succeedsAfter, maxSteps));
      expect(actions.length).toBe(episode.steps);
      // NINA's protocol asks again after ten actions at most.
      expect(episode.policyCalls).toBe(Math.ceil(episode.steps / Math.min(chunk, 10)));
      expect(episode).toMatchObject({ init: 3, policySeed: 99, trajectoryHash: `hash ${5 + episode.steps}` });
      expect([timing.simMs, timing.renderMs]).toEqual([2, 3]);
    },
  );

  test("looks once per chunk, and the policy sees the newest picture", async () => {
    const stage = new FakeStage();
    const seenSteps: number[] = [];
    const policy = planner((seen) => {
      seenSteps.push(seen.agentview_image.get(0, 0, 0));
      return { actions: [still, still, still, still] };
    });
    await play(stage, policy, 12);
    expect(seenSteps).toEqual([5, 9, 13]);
    expect(stage.log.filter((line) => line === "look").length).toBe(4);
  });

  test("frames show every step and change nothing else", async () => {
    const frames: number[] = [];
    const frame = async (step: number) => void frames.push(step);
    const withFrames = await play(new FakeStage(14), chunksOf(4), 30, { ...alone, frame });
    expect(frames).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(withFrames!.episode).toEqual((await play(new FakeStage(14), chunksOf(4)))!.episode);
  });

  describe("with an overlap", () => {
    const overlapping = (overlap: number): Protocol => ({ ...NINA, overlap });
    /** Chunks that tell when they were made: action i of one that was made at step s is s + i hundredths. */
    const telling = (length: number, delay = 0): Policy =>
      planner(async (seen) => {
        const step = seen.agentview_image.get(0, 0, 0) - 5;
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
        return { actions: Array.from({ length }, (_, i) => [step, (step + i) / 100, 0, 0, 0, 0, 0]) };
      });

    test.prop([
      fc
        .integer({ min: 1, max: 4 })
        .chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 2 * n + 1, max: 10 }))),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 60 }),
    ])(
      "each action is what was planned for its step, and chunks begin as early as was asked for",
      async ([overlap, length], maxSteps, succeedsAfter) => {
        const stage = new FakeStage(5 + succeedsAfter);
        const { episode, actions } = (await play(
          stage,
          telling(length),
          maxSteps,
          alone,
          overlapping(overlap),
        ))!;
        expect(episode.outcome).toBe(succeedsAfter <= maxSteps ? "success" : "failure");
        expect(actions.length).toBe(Math.min(succeedsAfter, maxSteps));
        const every = length - overlap;
        actions.forEach(([made, planned], step) => {
          expect(planned).toBeCloseTo(step / 100, 12);
          // The chunk of step 0 serves until the second takes over, `overlap` steps after it was asked for.
          expect(made).toBe(step < length ? 0 : every * Math.floor((step - overlap) / every));
        });
        // A picture for each chunk, and that of the last settle step; at the end none is asked for that could not be
        // used.
        expect(stage.log.filter((line) => line === "look").length).toBeGreaterThanOrEqual(
          episode.policyCalls,
        );
      },
    );

    test("what is executed does not depend on how long the policy takes", async () => {
      const run = async (delay: number) =>
        (await play(new FakeStage(), telling(7, delay), 25, alone, overlapping(2)))!.actions;
      expect(await run(3)).toEqual(await run(0));
    });

    test("the robot moves while the policy plans", async () => {
      const stage = new FakeStage();
      const during: number[] = [];
      const policy = planner(async () => {
        const before = stage.times.steps;
        await new Promise((resolve) => setTimeout(resolve, 20));
        during.push(stage.times.steps - before);
        return { actions: Array.from({ length: 10 }, () => still) };
      });
      await play(stage, policy, 30, alone, overlapping(3));
      expect(during).toEqual([0, 3, 3, 3]);
    });

    test("a policy that is at work when the episode ends is waited for", async () => {
      let busy = false;
      const policy = planner(async () => {
        busy = true;
        await new Promise((resolve) => setTimeout(resolve, 20));
        busy = false;
        return { actions: Array.from({ length: 10 }, () => still) };
      });
      // Success after 9 of 10 actions; the next chunk was asked for after 7.
      expect((await play(new FakeStage(5 + 9), policy, 30, alone, overlapping(3)))!.episode).toMatchObject({
        outcome: "success",
        policyCalls: 2,
      });
      expect(busy).toBe(false);
      const watcher: Watcher = { ...alone, interrupted: () => busy };
      expect(await play(new FakeStage(), policy, 30, watcher, overlapping(3))).toBeNull();
      expect(busy).toBe(false);
    });

    test("a policy that breaks while actions play ends the episode when they are over", async () => {
      let calls = 0;
      const policy = planner(async () => {
        if (calls++ > 0) throw new Error("late");
        return { actions: Array.from({ length: 10 }, () => still) };
      });
      const { episode } = (await play(new FakeStage(), policy, 30, alone, overlapping(3)))!;
      expect(episode).toMatchObject({ outcome: "error", error: "late", steps: 10, policyCalls: 1 });
    });

    test("chunks that are too short for it are an error", async () => {
      expect((await play(new FakeStage(), chunksOf(6), 30, alone, overlapping(3)))!.episode).toMatchObject({
        outcome: "error",
        error: "policy: expected a chunk of more than 6 actions, twice the overlap, got 6",
      });
    });
  });

  test("a chunk that is refused is in no result", async () => {
    let calls = 0;
    const policy = planner(() =>
      calls++ === 0 ? { actions: [still], logProb: 1 } : { actions: [], logProb: 9 },
    );
    expect((await play(new FakeStage(), policy))!.episode).toMatchObject({
      outcome: "error",
      logProbs: [1],
    });
  });

  test("reports the log-probability of each chunk", async () => {
    let logProb = 0;
    const policy = planner(() => ({ actions: [still], logProb: logProb++ }));
    expect((await play(new FakeStage(), policy, 3))!.episode.logProbs).toEqual([0, 1, 2]);
    expect((await play(new FakeStage(), chunksOf(1), 3))!.episode).not.toHaveProperty("logProbs");
  });

  test.each<[string, () => ActionChunk, string]>([
    [
      "a NaN action",
      () => ({ actions: [still, [0, 0, Number.NaN, 0, 0, 0, 0]] }),
      "action 1 has NaN at index 2",
    ],
    [
      "an infinite action",
      () => ({ actions: [[-1 / 0, 0, 0, 0, 0, 0, 0]] }),
      "action 0 has -Infinity at index 0",
    ],
    ["an action of 6 numbers", () => ({ actions: [[0, 0, 0, 0, 0, 0]] }), "action 0 has 6"],
    ["an empty chunk", () => ({ actions: [] }), "at least one action"],
    ["no chunk", () => undefined as never, "expected a chunk with a list of actions, got none"],
    ["a chunk of text", () => ({ actions: "zero" }) as never, "expected a chunk with a list of actions"],
    ["an action that is none", () => ({ actions: [null] }) as never, "action 0 is none"],
    [
      "a log-probability that is NaN",
      () => ({ actions: [still], logProb: Number.NaN }),
      "expected a finite log-probability, got NaN",
    ],
    [
      "something thrown that is no error",
      () => {
        throw Object.create(null);
      },
      "[Object: null prototype] {}",
    ],
    [
      "a message that would move the cursor",
      () => {
        throw new Error("\x1b[2J");
      },
      "\\u{1b}[2J",
    ],
    [
      "a message without end",
      () => {
        throw new Error("x".repeat(1e6));
      },
      "… (1000000 characters)",
    ],
    [
      "an exception",
      () => {
        throw new Error("policy: image is 64 x 64");
      },
      "image is 64 x 64",
    ],
  ])("%s of the policy is an error, never a failure", async (_, badPlan, message) => {
    let calls = 0;
    const policy = planner(() => (calls++ === 2 ? badPlan() : { actions: [still, still] }));
    const { episode } = (await play(new FakeStage(), policy))!;
    expect(episode).toMatchObject({ outcome: "error", steps: 4, policyCalls: 2 });
    expect(episode.error).toContain(message);
    expect(episode.error!.length).toBeLessThan(1100);
  });

  test("a policy that rejects or cannot reset is an error too", async () => {
    const rejects = planner(async () => {
      throw new Error("late");
    });
    expect((await play(new FakeStage(), rejects))!.episode).toMatchObject({
      outcome: "error",
      error: "late",
    });
    const stuck: Policy = {
      ...chunksOf(1),
      reset() {
        throw new Error("stuck");
      },
    };
    expect((await play(new FakeStage(), stuck))!.episode).toMatchObject({
      outcome: "error",
      error: "stuck",
      steps: 0,
    });
  });

  test("a broken simulator stops the run", async () => {
    await expect(play(new FakeStage(undefined, 9), chunksOf(2))).rejects.toThrow("simulator: diverged");
  });

  test("an interrupted episode has no result", async () => {
    const stage = new FakeStage();
    let steps = 0;
    const watcher: Watcher = { interrupted: () => steps >= 3, stepped: (n) => void (steps = n) };
    expect(await play(stage, chunksOf(10), 30, watcher)).toBeNull();
    expect(stage.times.steps).toBe(5 + 3);
  });

  test("a signal that arrives while the simulator works is seen at the next step", async () => {
    let interrupted = false;
    const stepped = (n: number) => {
      if (n === 2) setTimeout(() => (interrupted = true), 0);
    };
    // Without a turn of the event loop between steps the timer would never fire.
    expect(
      await play(new FakeStage(), chunksOf(10), 1e5, { interrupted: () => interrupted, stepped }),
    ).toBeNull();
  });
});
