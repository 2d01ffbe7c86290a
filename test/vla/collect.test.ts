import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect, vi } from "vitest";
import { Random } from "../../core/index.ts";
import { checkpointDigest } from "../../vla/checkpoint.ts";
import { type Pupil, recordEpisode } from "../../vla/collect/record.ts";
import { Schedule } from "../../vla/collect/schedule.ts";
import { CollectStore } from "../../vla/collect/store.ts";
import { LiberoDemonstrations } from "../../vla/data/libero-hdf5.ts";
import { composeScene } from "../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../vla/libero/env.ts";
import { readInitStates } from "../../vla/libero/init-states.ts";
import { NINA } from "../../vla/libero/protocols.ts";
import { createRenderer } from "../../vla/libero/render/renderer.ts";
import { findTask, loadSuite } from "../../vla/libero/suites.ts";
import { miniRoots } from "../../vla/suites/mini/roots.ts";
import { demonstrationFile } from "../parity/libero-hdf5.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-collect-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the schedule of starts", () => {
  const plans = fc.record({
    wanted: fc.integer({ min: 1, max: 8 }),
    first: fc.nat(100),
    outcomes: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
    /** Which of the running starts ends next. */
    ends: fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
    workers: fc.integer({ min: 1, max: 5 }),
    known: fc.array(fc.nat(29), { maxLength: 10 }),
  });

  test.prop([plans])(
    "keeps the first successes, whatever number of workers ends in whatever order",
    ({ wanted, first, outcomes, ends, workers, known }) => {
      const outcome = (start: number): boolean => outcomes[start - first];
      const before = new Map(known.map((i) => [first + i, outcomes[i]]));
      const schedule = new Schedule(wanted, first, 30, before);
      const running: number[] = [];
      const played = new Set<number>();
      for (let turn = 0; ; turn++) {
        for (let start = schedule.take(); start !== null; start = schedule.take()) {
          expect(before.has(start) || played.has(start)).toBe(false);
          played.add(start);
          running.push(start);
          if (running.length === workers) break;
        }
        if (running.length === 0) break;
        const [start] = running.splice(ends[turn % 30] % running.length, 1);
        schedule.report(start, outcome(start));
      }
      const successes = outcomes.flatMap((success, i) => (success ? [first + i] : []));
      const expected = successes.length >= wanted ? successes.slice(0, wanted) : null;
      expect(schedule.kept()).toEqual(expected);
      // Nothing is played that is not needed: after the last success that is kept, at most what others had begun.
      if (expected) expect(Math.max(...played, 0)).toBeLessThan((expected.at(-1) as number) + workers);
    },
  );
});

test("a folder of other settings is refused, one of the same is taken up", () => {
  const settings = {
    suite: "mini",
    episodes: 2,
    first: 1000,
    imageSize: 32,
    noise: 0.6,
    seed: 0,
    random: false,
  };
  const store = CollectStore.open(join(folder, "store"), settings);
  store.noteUnrecorded("task", 1003, "failed");
  expect(CollectStore.open(join(folder, "store"), settings).played("task")).toEqual(new Map([[1003, false]]));
  expect(() => CollectStore.open(join(folder, "store"), { ...settings, seed: 1 })).toThrow(
    /collect\.json: expected the settings of this collection, found others: seed: 0, and 1: choose another --out$/,
  );
  store.dropParts("task");
  expect(readdirSync(join(folder, "store"))).toEqual(["collect.json"]);
});

describe("a pupil", () => {
  const task = findTask(loadSuite(miniRoots.libero, "mini"), "DRAWER_SCENE3_push_the_drawer_shut");
  const scene = composeScene({ ...miniRoots, task });
  const [state] = readInitStates(task.initPath, scene.layout);
  const start = { task: task.name, state, seed: 0, expertSeed: 0 };
  /** Away from the drawer, the gripper this way and that. */
  const astray = [-0.4, 0.3, 0.2, 0, 0, 0.1, 1];
  const pupil = (share: number): Pupil => {
    const actions = [...Array.from({ length: 6 }, () => astray), astray.with(6, -1)];
    const policy = { name: "astray", reset: () => {}, act: () => ({ actions }) };
    return { policy, policySeed: 0, instruction: task.instruction, share };
  };

  test("drives until the expert takes over, whose wishes alone are recorded", async () => {
    using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: 16 });
    const executed: number[][] = [];
    for (const name of ["step", "advance"] as const) {
      const original = env[name].bind(env);
      vi.spyOn(env, name).mockImplementation((action: ArrayLike<number>): never => {
        executed.push(Array.from(action));
        return original(action) as never;
      });
    }
    const episode = await recordEpisode(env, start, 0, new Random(3), pupil(1));
    if (typeof episode === "string") throw new Error(`expected an episode, found ${episode}`);
    const { actions, states, observations } = episode;
    const lead = executed.length - NINA.settle.steps - actions.length + 1;
    expect(lead).toBeGreaterThan(0);
    const driven = executed.slice(NINA.settle.steps);
    expect(driven.slice(0, lead).every(([x]) => x === astray[0])).toBe(true);
    // The pupil's last step is there for its picture; what is recorded of it is a wish.
    expect(actions[0]).not.toEqual(driven[lead - 1]);
    expect(actions.slice(1)).toEqual(driven.slice(lead));
    expect([states.length, observations.length]).toEqual([actions.length, actions.length]);
    expect(states[0][0]).toBeCloseTo(state[0] + 0.05 * (NINA.settle.steps + lead - 1));
  });

  test("that reaches the goal leaves nothing to record", async () => {
    using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: 16 });
    // The expert drives in its stead, for up to 121 steps of this seed: 50 are enough.
    expect(await recordEpisode(env, start, 0, new Random(0), pupil(0))).toBe("solved");
  });
});

describe("vla/collect.ts", () => {
  const command = (out: string, ...more: string[]): string[] => [
    ...["--import", "tsx", "vla/collect.ts", "--out", out, "--tasks", "8", "--episodes", "2", "--size", "32"],
    ...more,
  ];
  const task = "DRAWER_SCENE3_push_the_drawer_shut";
  const name = `${task}_demo.hdf5`;

  /** The embedded checkpoint, as if trained on pictures of this size. */
  function trainedOn(cameraSize: number | null): string {
    const checkpoint = join(folder, `checkpoint ${cameraSize}`);
    cpSync("vla/suites/mini/checkpoint", checkpoint, { recursive: true });
    const path = join(checkpoint, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    config.perception.cameraSize = cameraSize;
    writeFileSync(path, JSON.stringify(config));
    return checkpoint;
  }

  async function contentOf(path: string): Promise<unknown> {
    using file = await LiberoDemonstrations.open(path);
    return file.episodes.map((episode) => [
      Array.from(episode.actions(0, episode.length)),
      Array.from(episode.states(0, episode.length)),
      Array.from(episode.observation(episode.length - 1).agentview_image.data),
    ]);
  }

  test("records successes in LIBERO's layout, the same when it is killed and goes on", async () => {
    const [whole, cut] = [join(folder, "whole"), join(folder, "cut")];
    const said = execFileSync(process.execPath, command(whole, "--workers", "2"), { encoding: "utf8" });
    expect(said).toMatch(/^DRAWER_SCENE3_push_the_drawer_shut: 2 episodes, \d+ steps in /);
    expect(readdirSync(whole).sort()).toEqual([name, "collect.json"]);
    const { pass, error, note } = await demonstrationFile(join(whole, name));
    expect(pass, `error ${error}, ${note}`).toBe(true);

    const first = execFile(process.execPath, command(cut, "--workers", "1"));
    const ended = new Promise((resolve) => first.once("exit", resolve));
    const parts = join(cut, "parts", task);
    while (!existsSync(parts) || !readdirSync(parts).some((file) => file.endsWith(".hdf5"))) await sleep(20);
    first.kill("SIGKILL");
    await ended;
    expect(existsSync(join(cut, name))).toBe(false);
    execFileSync(process.execPath, command(cut, "--workers", "1"));
    expect(await contentOf(join(cut, name))).toEqual(await contentOf(join(whole, name)));
  }, 180_000);

  test("Ctrl-C, which a terminal sends to all its processes, ends it without an error", async () => {
    const out = join(folder, "interrupted");
    const child = spawn(process.execPath, command(out, "--workers", "1"), { detached: true });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (part) => (stderr += part));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    while (!existsSync(join(out, "collect.json"))) await sleep(5);
    await sleep(200); // the worker is about to start: it has no answer to signals of its own
    process.kill(-(child.pid as number), "SIGINT");
    expect(await ended).toBe(130);
    expect(stderr).toBe("\nInterrupted: keeping the finished episodes. Once more to end at once.\n");
  }, 60_000);

  test("records random scenes: independent pictures, each with the state it shows", async () => {
    const out = join(folder, "random");
    const args = [
      "--import",
      "tsx",
      "vla/collect.ts",
      "--random",
      "--out",
      out,
      "--tasks",
      task,
      "--episodes",
      "1",
    ];
    execFileSync(process.execPath, [...args, "--size", "16", "--workers", "1"], { encoding: "utf8" });
    using file = await LiberoDemonstrations.open(join(out, name));
    const [{ length, states, actions, observation }] = file.episodes;
    expect([file.episodes.length, length]).toEqual([1, 101]);
    expect(actions(0, length).every((value) => value === 0)).toBe(true);
    const shown = new Set<number>();
    for (let step = 1; step < length; step++) {
      const [, first] = states(step, step + 1); // after the time: the arm's first joint
      expect(observation(step - 1).robot0_joint_pos[0]).toBe(first);
      shown.add(first);
    }
    expect(shown.size).toBe(100);
  });

  test("records how the expert goes on from where a policy has driven to", async () => {
    const out = join(folder, "dagger");
    const checkpoint = trainedOn(null);
    const args = ["--import", "tsx", "vla/collect.ts", "--out", out, "--tasks", "8", "--episodes", "1"];
    const flags = ["--size", "16", "--workers", "1", "--checkpoint", checkpoint];
    const said = execFileSync(process.execPath, [...args, ...flags], { encoding: "utf8" });
    expect(said).toMatch(
      /: 1 episodes.*\n {2}of \d+ starts \d+ failed, in \d+ the policy was there before the expert\n/,
    );
    const { policy } = JSON.parse(readFileSync(join(out, "collect.json"), "utf8"));
    expect(policy).toEqual({ checkpoint: checkpointDigest(checkpoint), share: 1 });
    using file = await LiberoDemonstrations.open(join(out, name));
    expect(file.episodes.length).toBe(1);
    const [{ states }] = file.episodes;
    // Simulated seconds: after what settles, the policy has driven.
    expect(states(0, 1)[0]).toBeGreaterThan(0.05 * NINA.settle.steps + 0.01);
  }, 180_000);

  test("refuses a policy that was trained on pictures of another size", () => {
    const args = command(join(folder, "never"), "--checkpoint", trainedOn(64));
    expect(() => execFileSync(process.execPath, args, { stdio: "pipe" })).toThrow(
      /--size: expected 64, the pictures that .* was trained on, got 32/,
    );
  });

  test("wrong flags end with code 2", () => {
    const out = ["--out", folder];
    const share = ["--checkpoint", folder, "--policy-share", "0"];
    for (const flags of [[], [...out, "--episodes", "0"], [...out, "--noise", "-1"], [...out, ...share]]) {
      const args = ["--import", "tsx", "vla/collect.ts", ...flags];
      expect(() => execFileSync(process.execPath, args, { stdio: "pipe" })).toThrow(
        expect.objectContaining({ status: 2 }),
      );
    }
  });
});
