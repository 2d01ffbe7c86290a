import { describe, expect, test } from "vitest";
import type { EpisodeResult, RunInfo } from "../../../vla/eval/results.ts";
import { Tally } from "../../../vla/eval/tally.ts";

const run: RunInfo = {
  suite: "mini",
  policy: "zero",
  untrained: false,
  seed: 4,
  protocol: "nina",
  overlap: 0,
  swapWords: false,
  cameraSize: 128,
  engine: { node: "20.20.2", mujoco: "3.14.0", contacts: "mujoco-2.3", fma: true },
};

const episode = (change: Partial<EpisodeResult>): EpisodeResult => ({
  init: 0,
  policySeed: 0,
  outcome: "success",
  steps: 100,
  trajectoryHash: "00",
  policyCalls: 10,
  policyMs: 3,
  simMs: 1,
  renderMs: 2,
  controlHz: 20,
  ...change,
});

function tallyOf(tasks: EpisodeResult[][], planned?: number): Tally {
  const tally = new Tally(planned ?? tasks.flat().length);
  tasks.forEach((episodes, i) => {
    const add = tally.open(`task${i}`, `do task ${i}`);
    for (const one of episodes) add(one);
  });
  return tally;
}

/** The cells of a row, by its name. */
function row(report: string, name: string): string[] {
  const line = report.split("\n").find((text) => text.startsWith(name))!;
  return line.trim().split(/ {2,}/).slice(1);
}

describe("Tally", () => {
  test("tells which starts are not what their task says", () => {
    const lostPremises = ["on bowl_1 ramekin_1"];
    const both = ["on bowl_1 ramekin_1", "on plate_1 table"];
    const report = tallyOf([
      [episode({ lostPremises }), episode({}), episode({ lostPremises: both })],
      [episode({})],
    ]).report(run);
    expect(report.match(/^PREMISES LOST.*$/gm)).toEqual([
      "PREMISES LOST: task0: 2 of 3 starts are not as the task says: (on bowl_1 ramekin_1) in 2, (on plate_1 table) in 1",
    ]);
  });

  test("reports each task and all tasks together", () => {
    const tally = tallyOf([
      [
        episode({ steps: 100, policyMs: 1, policyCalls: 30 }),
        episode({ outcome: "failure", steps: 300, simMs: 3, controlHz: 10 }),
      ],
      [episode({ steps: 200, policyMs: 5 })],
    ]);
    const report = tally.report(run);
    // 1 of 2: Wilson's interval is 0.5 ± 0.4055. Means per call and per step weigh episodes by their calls and steps.
    expect(row(report, "task0")).toEqual([
      "2",
      "1",
      "0",
      "50.0 [9.5, 90.5]",
      "200.0",
      "1.50",
      "2.50",
      "2.00",
      "11.4", // 400 steps in 5 + 30 seconds
    ]);
    expect(row(report, "task1")).toEqual([
      "1",
      "1",
      "0",
      "100.0 [20.7, 100.0]",
      "200.0",
      "5.00",
      "1.00",
      "2.00",
      "20.0",
    ]);
    expect(row(report, "all tasks").slice(0, 3)).toEqual(["3", "2", "0"]);
    expect(report).toContain("suite mini, policy zero, protocol nina, seed 4");
    expect(report).toContain("node 20.20.2, mujoco 3.14.0, contacts mujoco-2.3");
    expect(report).not.toMatch(/UNTRAINED|broke off|in an error/);
  });

  test("keeps an episode that ended in an error out of the rate and says so", () => {
    const tally = tallyOf([
      [episode({}), episode({ outcome: "error", error: "NaN", steps: 7, policyMs: null })],
    ]);
    const report = tally.report(run);
    expect(row(report, "task0").slice(0, 5)).toEqual(["2", "1", "1", "100.0 [20.7, 100.0]", "100.0"]);
    expect(report).toContain("1 of 2 episodes ended in an error and");
    expect(report).toContain("The first: task0 0, NaN");
    expect(report).not.toContain("nothing was evaluated");
    expect(tally.errors).toBe(1);
  });

  test("says when every episode ended in an error", () => {
    const broken = (init: number) => episode({ init, outcome: "error", error: `no weights ${init}` });
    expect(tallyOf([[broken(3)], [broken(4)]]).report(run)).toContain(
      "2 of 2 episodes ended in an error and are in no rate: nothing was evaluated. The first: task0 3, no weights 3",
    );
  });

  test("prints no control characters of names", () => {
    const tally = new Tally(1);
    tally.open("\x1b[31mpush", "push")(episode({ outcome: "error", error: "a\nb" }));
    const report = tally.report({ ...run, policy: "replay \x07" });
    expect(report).toContain("\\u{1b}[31mpush");
    expect(report).toContain("replay \\u{7}");
    expect(report.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(report).toContain("a\\u{a}b");
  });

  test("shows no rate where nothing finished", () => {
    expect(row(tallyOf([[]]).report(run), "task0")).toEqual(["0", "0", "0", "-", "-", "-", "-", "-", "-"]);
  });

  test("of swapped words: how often the told goal held, and how often the other", () => {
    const swapped = (toldGoal: boolean, otherGoal: boolean) =>
      episode({
        outcome: toldGoal ? "success" : "failure",
        swapped: { told: "task1", instruction: "do task 1", toldGoal, otherGoal },
      });
    const broken = episode({ outcome: "error", error: "tired" });
    const report = tallyOf([
      [swapped(true, false), swapped(true, true), swapped(false, true), swapped(false, true), broken],
    ]).report({ ...run, swapWords: true });
    expect(report.split("\n")[0]).toMatch(
      /episodes +errors +as told \[95 %\] +not as told \[95 %\] +mean steps/,
    );
    // 2 of 4 and 3 of 4; Wilson's intervals from his formula by hand.
    const rates = ["5", "1", "50.0 [15.0, 85.0]", "75.0 [30.1, 95.4]"];
    expect(row(report, "task0").slice(0, 4)).toEqual(rates);
    expect(row(report, "all tasks").slice(0, 4)).toEqual(rates);
    expect(report).toContain("Words are swapped");
    expect(tallyOf([[episode({})]]).report(run)).not.toContain("Words are swapped");
  });

  test("announces an untrained policy and a run that broke off", () => {
    expect(tallyOf([[]]).report({ ...run, untrained: true })).toContain("UNTRAINED");
    expect(tallyOf([[episode({})]], 4).report(run)).toContain("broke off after 1 of 4 episodes");
  });
});
