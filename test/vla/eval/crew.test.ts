import { describe, expect, test } from "vitest";
import { Crew } from "../../../vla/eval/crew.ts";
import type { Ended } from "../../../vla/eval/ledger.ts";
import { EMBEDDED, readOptions } from "../../../vla/eval/options.ts";
import type { Setting } from "../../../vla/eval/player.ts";
import { setUpRun, type TaskSetup } from "../../../vla/eval/setup.ts";
import { NINA } from "../../../vla/libero/protocols.ts";
import { findTasks, loadSuite } from "../../../vla/libero/suites.ts";
import type { Policy } from "../../../vla/policies/policy.ts";

const TASKS = ["DRAWER_SCENE3_push_the_drawer_shut", "BLOCKS_SCENE1_put_the_red_block_on_the_plate"];
const suite = loadSuite(EMBEDDED.libero, EMBEDDED.suite);
const setting: Setting = {
  libero: EMBEDDED.libero,
  robosuite: EMBEDDED.robosuite,
  suite: suite.name,
  seed: 0,
  protocol: NINA,
  maxSteps: 4,
  contacts: "mujoco-2.3",
  cameraSize: 16,
  logProb: false,
};

function setupsOf(episodes: number, tasks = TASKS): TaskSetup[] {
  const options = readOptions(["--policy", "zero", "--episodes", String(episodes)], {});
  return setUpRun(options, suite, findTasks(suite, tasks));
}

const move = [0.3, 0, 0.1, 0, 0, 0, -1];
const moving = (act?: () => void): Policy => ({
  name: "moving",
  reset() {},
  act() {
    act?.();
    return { actions: [move, move] };
  },
});

interface Told {
  readonly name: string;
  readonly ended: Ended;
  readonly retried?: string;
}

/** Plays all episodes; what was told of each, by its name. */
async function play(
  threads: number,
  setups: TaskSetup[],
  policyFor: (name: string) => Policy,
  change: Partial<Setting> = {},
): Promise<Told[]> {
  using crew = new Crew({ ...setting, ...change }, threads);
  const told: Told[] = [];
  const nameOf = ({ setup, episode }: Parameters<Parameters<Crew["play"]>[2]["policyFor"]>[0]) =>
    `${TASKS.indexOf(setup.task)} ${episode.init}`;
  await crew.play(setups, await crew.check(setups, () => {}), {
    policyFor: (job) => policyFor(nameOf(job)),
    stepped() {},
    finished: (job, ended, retried) => told.push({ name: nameOf(job), ended, retried }),
  });
  return told.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What of an episode is no matter of the clock. */
const lasting = ({ ended }: Told) =>
  "crashed" in ended ? ended : { ...ended.episode, actions: ended.actions, trace: ended.trace };

describe("Crew", () => {
  test("plays each episode once, the same on any number of threads", { timeout: 120_000 }, async () => {
    const setups = setupsOf(3);
    const [alone, three] = [await play(1, setups, () => moving()), await play(3, setups, () => moving())];
    expect(alone.map(({ name }) => name)).toEqual(["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"]);
    expect(three.map(lasting)).toEqual(alone.map(lasting));
    expect(alone.map(({ retried }) => retried)).toEqual(alone.map(() => undefined));
    expect(lasting(alone[0])).toMatchObject({ outcome: "failure", steps: 4, policyCalls: 2 });
  });

  test("an episode that ends in an error is played once more", { timeout: 120_000 }, async () => {
    const setups = setupsOf(2, [TASKS[0]]);
    let calls = 0;
    const failing = (times: number) => (name: string) =>
      moving(() => {
        if (name === "0 1" && calls++ < times) throw new Error("the line is dead");
      });
    const sound = await play(2, setups, () => moving());
    const once = await play(2, setups, failing(1));
    expect(once.map(lasting)).toEqual(sound.map(lasting));
    expect(once.map(({ retried }) => retried)).toEqual([undefined, "the line is dead"]);
    calls = 0;
    const always = await play(2, setups, failing(9));
    expect(calls).toBe(2);
    expect(lasting(always[0])).toEqual(lasting(sound[0]));
    expect(lasting(always[1])).toMatchObject({ outcome: "error", error: "the line is dead", steps: 0 });
  });

  test("a simulator that breaks ends its episode alone", { timeout: 240_000 }, async () => {
    // Beyond the 1000 control steps that an episode may have.
    const protocol = { ...NINA, settle: { ...NINA.settle, steps: 998 } };
    const [broken] = await play(1, setupsOf(1, [TASKS[0]]), () => moving(), { protocol });
    expect(broken.ended).toEqual({
      crashed: "LiberoEnv.advance: expected at most 1000 control steps after a reset, found one more",
    });
    expect(broken.retried).toBe((broken.ended as { crashed: string }).crashed);
  });

  test("an episode without a sound start ends at once, unplayed, and the others go on", async () => {
    using crew = new Crew(setting, 1);
    const setups = setupsOf(2, [TASKS[0]]);
    const sound = { lostPremises: [], start: null };
    const starts = new Map([[setups[0], [{ ...sound, refused: "no draw is sound" }, sound]]]);
    const asked: number[] = [];
    const told: unknown[] = [];
    await crew.play(setups, starts, {
      policyFor({ episode }) {
        asked.push(episode.init);
        return moving();
      },
      stepped() {},
      finished: (...all) => told.push(all),
    });
    expect(asked).toEqual([1]);
    expect(told).toMatchObject([
      [{ episode: { init: 0 } }, { crashed: "no draw is sound" }],
      [{ episode: { init: 1 } }, { episode: { outcome: "failure" } }, undefined],
    ]);
  });

  test("what cannot be started is refused before anything is played", { timeout: 120_000 }, async () => {
    const setups = setupsOf(1).map((setup, i) => ({
      ...setup,
      episodes: setup.episodes.map((episode) => ({ ...episode, told: i === 0 ? episode.told : "no task" })),
    }));
    await expect(play(2, setups, () => moving())).rejects.toThrow(/state 0: /);
  });
});
