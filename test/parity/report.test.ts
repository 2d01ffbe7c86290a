import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { reportLine, runCase } from "./report.ts";

describe("a parity case", () => {
  const compared = (result: { error: number; tolerance: number; pass: boolean; note?: string }) =>
    runCase({ name: "plu_12", kind: "plu", run: () => result });

  test("passes or fails as its comparison says", async () => {
    expect((await compared({ error: 1e-7, tolerance: 1e-5, pass: true })).status).toBe("pass");
    expect((await compared({ error: 1e-3, tolerance: 1e-5, pass: false })).status).toBe("FAIL");
  });

  test("fails when the error is not a number", async () => {
    expect((await compared({ error: Number.NaN, tolerance: 1e-5, pass: true })).status).toBe("FAIL");
  });

  test("fails with the message when it throws, at once or later", async () => {
    const thrown = { status: "FAIL", note: "no tensor in.x", error: null };
    const fail = () => {
      throw new Error("no tensor in.x");
    };
    expect(await runCase({ name: "a", kind: "b", run: fail })).toMatchObject(thrown);
    expect(await runCase({ name: "a", kind: "b", run: async () => fail() })).toMatchObject(thrown);
  });

  test("of a kind that is not built is not implemented", async () => {
    const report = await runCase({ name: "dit", kind: "flower", run: undefined });
    expect(report.status).toBe("not implemented");
    expect(reportLine(report)).toMatch(/^dit +flower +- +- +not implemented$/);
  });

  test("prints name, kind, error, tolerance, status and note in one line", async () => {
    const line = reportLine(await compared({ error: 1.5e-7, tolerance: 1e-5, pass: true, note: "float64" }));
    expect(line.split(/ {2,}/)).toEqual(["plu_12", "plu", "1.50e-7", "1.00e-5", "pass", "float64"]);
  });
});

describe("the parity command refuses to start, with exit code 2,", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "test/parity.ts", ...args], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      encoding: "utf8",
    });

  test.each([
    ["without arguments", [], "expected nina|florence2|libero DIR [--json], got nothing"],
    ["for an unknown suite", ["maniskill", tmpdir()], "got maniskill"],
    ["for a folder that is not there", ["nina", join(tmpdir(), "absent-goldens")], "absent-goldens"],
    ["with an unknown flag", ["nina", tmpdir(), "--fast"], "--fast"],
  ])("%s", (_, args, message) => {
    const { status, stderr } = run(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});
