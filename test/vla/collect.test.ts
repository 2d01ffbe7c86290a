import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { Schedule } from "../../vla/collect/schedule.ts";
import { CollectStore } from "../../vla/collect/store.ts";
import { LiberoDemonstrations } from "../../vla/data/libero-hdf5.ts";
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
  store.noteFailure("task", 1003);
  expect(CollectStore.open(join(folder, "store"), settings).played("task")).toEqual(new Map([[1003, false]]));
  expect(() => CollectStore.open(join(folder, "store"), { ...settings, seed: 1 })).toThrow(
    /collect\.json tells of other settings/,
  );
  store.dropParts("task");
  expect(readdirSync(join(folder, "store"))).toEqual(["collect.json"]);
});

describe("vla/collect.ts", () => {
  const command = (out: string, ...more: string[]): string[] => [
    ...["--import", "tsx", "vla/collect.ts", "--out", out, "--tasks", "8", "--episodes", "2", "--size", "32"],
    ...more,
  ];
  const task = "DRAWER_SCENE3_push_the_drawer_shut";
  const name = `${task}_demo.hdf5`;

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

  test("wrong flags end with code 2", () => {
    for (const flags of [[], ["--out", folder, "--episodes", "0"], ["--out", folder, "--noise", "-1"]]) {
      const args = ["--import", "tsx", "vla/collect.ts", ...flags];
      expect(() => execFileSync(process.execPath, args, { stdio: "pipe" })).toThrow(
        expect.objectContaining({ status: 2 }),
      );
    }
  });
});
