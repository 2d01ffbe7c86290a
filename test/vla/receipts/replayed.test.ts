import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import type { Played } from "../../../vla/eval/player.ts";
import { UNTIMED } from "../../../vla/eval/results.ts";
import { drawKeys, judge, replayReport } from "../../../vla/receipts/replayed.ts";
import type { ReportedEpisode } from "../../../vla/report/run-folder.ts";

const keys = fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 40 });

describe("drawKeys", () => {
  test.prop([keys, fc.nat(50), fc.nat()])("draws so many, each once, in their order", (from, size, seed) => {
    const drawn = drawKeys(from, size, seed);
    expect(drawn).toHaveLength(Math.min(size, from.length));
    expect(drawn).toEqual(from.filter((key) => drawn.includes(key)));
  });

  test.prop([keys, fc.nat(50), fc.nat()])("a larger draw holds the smaller one", (from, size, seed) => {
    const larger = drawKeys(from, size + 1, seed);
    for (const key of drawKeys(from, size, seed)) expect(larger).toContain(key);
  });

  test("every key is as likely", () => {
    const from = Array.from({ length: 10 }, (_, i) => `key ${i}`);
    const counts = new Map(from.map((key) => [key, 0]));
    for (let seed = 0; seed < 2000; seed++)
      for (const key of drawKeys(from, 3, seed)) counts.set(key, counts.get(key)! + 1);
    // 600 each, with a standard deviation of 20.5: five of these.
    for (const count of counts.values()) expect(Math.abs(count - 600)).toBeLessThan(103);
  });
});

describe("judge", () => {
  const episode = {
    init: 4,
    policySeed: 1,
    outcome: "success",
    steps: 7,
    trajectoryHash: "ab",
    policyCalls: 1,
  } as const;
  const line = { task: "push", ...episode } as unknown as ReportedEpisode;
  const played = (change: object): Played =>
    ({
      episode: { ...episode, ...change },
      timing: UNTIMED,
      actions: [],
      trace: { gripper: [], goal: [] },
    }) as Played;

  test("outcome, steps and trajectory count, and nothing else", () => {
    expect(judge(line, played({ policyCalls: 9, policySeed: 3 })).verdict).toBe("equal");
    for (const change of [{ outcome: "failure" }, { steps: 8 }, { trajectoryHash: "ac" }])
      expect(judge(line, played(change)).verdict).toBe("different");
  });

  test("what breaks here was not played, and is no difference", () => {
    expect(judge(line, { crashed: "no memory" })).toMatchObject({
      verdict: "not played",
      error: "no memory",
    });
    expect(judge(line, played({ outcome: "error", error: "no actions" })).verdict).toBe("not played");
  });

  test("the report says what was found in place of what", () => {
    const report = replayReport([
      judge(line, played({ outcome: "failure", steps: 9 })),
      judge(line, { crashed: "no memory" }),
    ]);
    expect(report).toContain("DIFFERENT: push 4: outcome failure, recorded success; steps 9, recorded 7");
    expect(report).toContain("NOT PLAYED: push 4: no memory");
  });
});
