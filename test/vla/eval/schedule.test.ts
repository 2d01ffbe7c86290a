import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { Schedule } from "../../../vla/eval/schedule.ts";
import { episodeKey, type TaskSetup } from "../../../vla/eval/setup.ts";
import { partOf, readShard } from "../../../vla/eval/shard.ts";

/** Tasks with this many episodes each. */
const setupsOf = (sizes: readonly number[]): TaskSetup[] =>
  sizes.map((size, i) => ({
    task: `task${i}`,
    instruction: "",
    levels: {},
    digest: "",
    episodes: Array.from({ length: size }, (_, init) => ({ init, policySeed: 0, instruction: "", told: "" })),
  }));
const keysOf = (setups: readonly TaskSetup[]) =>
  setups.flatMap(({ task, episodes }) => episodes.map(({ init }) => episodeKey({ task, init })));

const sizes = fc.array(fc.nat(6), { maxLength: 8 });

test.prop([sizes, fc.array(fc.nat(3), { minLength: 60, maxLength: 60 })])(
  "every episode is handed out once, whoever comes when",
  (of, threads) => {
    const setups = setupsOf(of);
    const schedule = new Schedule(setups);
    const jobs = threads.flatMap((thread) => schedule.next(thread) ?? []);
    expect(jobs.map(({ setup, episode }) => episodeKey({ ...setup, ...episode })).toSorted()).toEqual(
      keysOf(setups).toSorted(),
    );
    expect(schedule.next(0)).toBeNull();
  },
);

test.prop([fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 })])(
  "a thread alone goes through tasks in order, and opens none twice",
  (of) => {
    const setups = setupsOf(of);
    const schedule = new Schedule(setups);
    expect(keysOf(setups)).toEqual(
      keysOf(setups).map(() => {
        const { setup, episode } = schedule.next(0)!;
        return episodeKey({ ...setup, ...episode });
      }),
    );
  },
);

test("threads begin tasks of their own, and help each other at the end", () => {
  const schedule = new Schedule(setupsOf([3, 2, 9]));
  const taskOf = (thread: number) => schedule.next(thread)?.setup.task;
  expect([taskOf(0), taskOf(1)]).toEqual(["task0", "task1"]);
  expect([taskOf(0), taskOf(0), taskOf(0)]).toEqual(["task0", "task0", "task2"]);
  expect([taskOf(1), taskOf(1)]).toEqual(["task1", "task2"]);
});

test("what is given back is handed out again", () => {
  const schedule = new Schedule(setupsOf([1]));
  const job = schedule.next(0)!;
  expect(schedule.next(1)).toBeNull();
  schedule.again(job);
  expect(schedule.next(1)).toEqual(job);
});

test.prop([sizes, fc.integer({ min: 1, max: 9 })])(
  "parts hold every episode once, in order, and about as many each",
  (of, parts) => {
    const setups = setupsOf(of);
    const all = Array.from({ length: parts }, (_, index) => keysOf(partOf(setups, { index, of: parts })));
    expect(all.flat()).toEqual(keysOf(setups));
    const lengths = all.map(({ length }) => length);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
  },
);

test.each(["", "1", "2/2", "-1/2", "0/0", "1/2/3", "a/b", "0x0/2"])("refuses %j as a part", (text) => {
  expect(() => readShard(text)).toThrow("--shard: expected I/N with I from 0 to N - 1");
  expect(readShard("1/2")).toEqual({ index: 1, of: 2 });
});
