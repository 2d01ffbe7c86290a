import { describe, expect, test } from "vitest";
import { formatDuration, Progress } from "../../../vla/eval/progress.ts";

function stream(isTTY: boolean): NodeJS.WriteStream & { text: string } {
  const fake = {
    isTTY,
    columns: 80,
    text: "",
    write(part: string) {
      this.text += part;
      return true;
    },
  };
  return fake as unknown as NodeJS.WriteStream & { text: string };
}

describe("Progress", () => {
  test("shows the episode, its label and an ETA on a terminal", () => {
    const terminal = stream(true);
    const progress = new Progress(4, terminal);
    progress.episodeDone();
    progress.step("push 3", 0.5);
    expect(terminal.text.replace("\r\x1b[K", "")).toMatch(/^episode 2\/4 {2}push 3 {2}ETA \d+ s$/);
    progress.clear();
    expect(terminal.text.endsWith("\r\x1b[K")).toBe(true);
  });

  test("never wraps a line", () => {
    const terminal = stream(true);
    new Progress(1, terminal).step("x".repeat(200), 0.5);
    expect(terminal.text.length).toBe("\r\x1b[K".length + 79);
    terminal.text = "";
    new Progress(1, terminal).note("x".repeat(200));
    expect(terminal.text).toBe(`\r\x1b[K${"x".repeat(79)}`);
  });

  test("is silent elsewhere", () => {
    const file = stream(false);
    const progress = new Progress(4, file);
    progress.note("checking");
    progress.step("push 3", 0.5);
    progress.episodeDone();
    progress.clear();
    expect(file.text).toBe("");
  });
});

test.each([
  [0, "0 s"],
  [59_400, "59 s"],
  [59_600, "1 min 00 s"],
  [185_000, "3 min 05 s"],
  [3_599_600, "1 h 00 min"],
  [7_620_000, "2 h 07 min"],
  [Number.POSITIVE_INFINITY, "?"],
  [Number.NaN, "?"],
])("%d ms reads %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
