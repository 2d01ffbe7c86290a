import { describe, expect, test } from "vitest";
import { signalTable } from "../../../vla/likelihood/report.ts";
import { type Heard, type Signal, signalsOf } from "../../../vla/likelihood/signals.ts";

const episode = (
  condition: Heard["condition"],
  logProbs: readonly number[],
  outcome: Heard["outcome"] = "success",
): Heard => ({ condition, outcome, logProbs, logDets: logProbs.map((x) => -x) });

const find = (signals: readonly Signal[], tells: Signal["tells"], by: Signal["by"]): Signal =>
  signals.find((signal) => signal.tells === tells && signal.by === by)!;

describe("signals", () => {
  test("a low log-probability tells failures among the undisturbed, and disturbances from them", () => {
    const signals = signalsOf([
      episode("as is", [5, 5]),
      episode("as is", [6, 4]),
      episode("as is", [1, 1], "failure"),
      episode("camera", [0, 0], "failure"),
      episode("words", [9, 9], "failure"),
    ]);
    expect(find(signals, "failure", "mean")).toMatchObject({ positives: 1, negatives: 2, auroc: 1 });
    expect(find(signals, "camera", "mean")).toMatchObject({ positives: 1, negatives: 3, auroc: 1 });
    expect(find(signals, "words", "mean")).toMatchObject({ positives: 1, negatives: 3, auroc: 0 });
    expect(find(signals, "colour", "mean")).toMatchObject({ positives: 0, negatives: 3, auroc: null });
    expect(signals).toHaveLength(4 * 4);
  });

  test("is the mean, the least, or the mean of the first five chunks, whole or without the noise", () => {
    const signals = signalsOf([
      episode("as is", [3, 3, 3, 3, 3, 3]),
      episode("camera", [4, 4, 4, 4, 4, -12]),
    ]);
    expect(find(signals, "camera", "mean").auroc).toBe(1); // 8/6 below 3
    expect(find(signals, "camera", "least").auroc).toBe(1);
    expect(find(signals, "camera", "early").auroc).toBe(0);
    expect(find(signals, "camera", "early log det").auroc).toBe(1); // turned round above
  });

  test("leaves out episodes that broke, and those without a chunk", () => {
    const signals = signalsOf([
      episode("as is", [3]),
      episode("as is", [], "failure"),
      episode("as is", [1], "error"),
      episode("camera", [1], "error"),
    ]);
    expect(find(signals, "failure", "mean")).toMatchObject({ positives: 0, negatives: 1 });
    expect(find(signals, "camera", "mean")).toMatchObject({ positives: 0, negatives: 1 });
  });

  test("are told in a table, a line each", () => {
    const lines = signalTable(signalsOf([episode("as is", [3]), episode("camera", [1])])).split("\n");
    expect(lines).toHaveLength(2 + 16);
    expect(lines.find((line) => line.startsWith("a moved camera"))).toMatch(
      /mean +1 +1 +1\.00 \[0\.21, 1\.00\]$/,
    );
    expect(lines.find((line) => line.startsWith("a wrong instruction"))).toMatch(/mean +0 +1 +-$/);
  });
});
