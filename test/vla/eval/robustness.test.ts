import { describe, expect, test } from "vitest";
import type { EpisodeResult, Outcome, TaskResult } from "../../../vla/eval/results.ts";
import { robustnessTable } from "../../../vla/eval/robustness.ts";

const task = (perturb: string | undefined, outcomes: readonly Outcome[]): TaskResult => ({
  task: "push",
  instruction: "push",
  ...(perturb !== undefined && { perturb }),
  episodes: outcomes.map((outcome) => ({ outcome }) as EpisodeResult),
});

describe("the table of robustness", () => {
  test("has all tasks in one rate, dimensions in their order, only those that were played, and says where none could be", () => {
    const table = robustnessTable([
      task(undefined, ["success", "success"]),
      task(undefined, ["success", "failure"]),
      task("noise:1", ["success", "success", "error"]),
      task("noise:5", ["failure", "failure"]),
      task("camera:2", ["success", "failure"]),
      task("noise:3", ["error", "error"]),
    ]);
    // Wilson's intervals of 3 of 4, 1 of 2, 2 of 2 and 0 of 2.
    expect(table.split("\n").map((line) => line.trimEnd().split(/ {2,}/))).toEqual([
      ["success [95 %]", "level 1", "level 2", "level 3", "level 4", "level 5"],
      expect.anything(),
      ["as they are", "75.0 [30.1, 95.4]"],
      ["camera", "-", "50.0 [9.5, 90.5]", "-", "-", "-"],
      ["noise", "100.0 [34.2, 100.0]", "-", "error", "-", "0.0 [0.0, 65.8]"],
    ]);
  });
});
