import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";

/** Benchmarks are run by hand: those that can be quick are run here, so that none stops working unseen. */
describe.each([
  ["kernels", ["--only", "softmax", "--rounds", "1"]],
  ["decode", ["--only", "MLP", "--batch", "1", "--rounds", "1"]],
  ["pictures", ["--rounds", "1"]],
  ["checkpoints", ["vla/suites/mini/checkpoint", "--rounds", "1"]],
])("benchmarks/%s.ts", (name, args) => {
  test("prints a line of JSON for each result", () => {
    const command = ["--import", "tsx", `benchmarks/${name}.ts`, ...args, "--json"];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const results = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const result of results)
      expect(result).toMatchObject({ bench: name, min_ms: expect.any(Number), who: expect.any(String) });
    expect(results.some(({ who }) => who !== "limit")).toBe(true);
  }, 120_000);
});
