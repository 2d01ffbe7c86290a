import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { episodeSeed } from "../../../vla/eval/seed.ts";

describe("episodeSeed", () => {
  test.prop([fc.nat(), fc.string(), fc.string(), fc.nat()])(
    "is a 32-bit number, the same each time",
    (run, suite, task, init) => {
      const seed = episodeSeed(run, suite, task, init);
      expect(seed).toBe(episodeSeed(run, suite, task, init));
      expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
    },
  );

  test("changes with each of its parts, and with the border between them", () => {
    const seeds = [
      episodeSeed(0, "a", "b", 0),
      episodeSeed(1, "a", "b", 0),
      episodeSeed(0, "c", "b", 0),
      episodeSeed(0, "a", "c", 0),
      episodeSeed(0, "a", "b", 1),
      episodeSeed(0, "ab", "", 0),
      episodeSeed(0, "", "ab", 0),
    ];
    expect(new Set(seeds).size).toBe(seeds.length);
  });

  test("stays what it is from release to release: old results can be repeated", () => {
    expect(episodeSeed(0, "mini", "push_the_drawer_shut", 7)).toBe(3123944247);
  });
});
