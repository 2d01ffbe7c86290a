import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readRunFolder } from "../../../vla/report/run-folder.ts";
import { someLine, someManifest } from "./some-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-run-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(manifest: object, lines: readonly string[]): void {
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  writeFileSync(join(folder, "episodes.jsonl"), lines.join("\n"));
}
const line = (init: number, changed: object = {}): string =>
  JSON.stringify({ ...someLine("t", 0, init, "success"), ...changed });

describe("readRunFolder", () => {
  test("takes what there is of a run that goes on, in the run's order, without actions", () => {
    write(someManifest("t", 1, 9), [line(2), line(0), line(1).slice(0, 50)]);
    const { episodes } = readRunFolder(folder);
    expect(episodes.map(({ init }) => init)).toEqual([0, 2]);
    expect(episodes[0]).toMatchObject({ task: "t0", outcome: "success", policyMs: null });
    expect(episodes[0]).not.toHaveProperty("actions");
  });

  test("a run without any episode is one", () => {
    write(someManifest("t", 1, 2), []);
    rmSync(join(folder, "episodes.jsonl"));
    expect(readRunFolder(folder).episodes).toEqual([]);
  });

  const wrong: readonly (readonly [string, object, readonly string[]])[] = [
    ["entry 1: episode.steps: expected a whole number in 0..4294967296", {}, [line(0, { steps: "<b>" })]],
    ["entry 1: episode.trace: expected an object of gripper, goal", {}, [line(0, { trace: { gripper: 3 } })]],
    ["entry 2: expected each episode of the run once", {}, [line(0), line(0)]],
    ["entry 1: expected each episode of the run once", {}, [line(3)]],
    ["line 1: expected JSON, found no", {}, ["no", line(0)]],
    ["manifest.tasks: expected a list", { tasks: [3] }, []],
    ["manifest.run: expected an object of suite", { run: { suite: "mini" } }, []],
    ["expected at most 1000000 episodes", { episodes: 1e9 }, []],
  ];
  test.each(wrong)("%s", (message, changed, lines) => {
    write({ ...someManifest("t", 1, 2), ...changed }, lines);
    expect(() => readRunFolder(folder)).toThrow(message);
  });
});
