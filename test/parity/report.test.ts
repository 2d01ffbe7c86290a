import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

const command = (env: NodeJS.ProcessEnv, ...args: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", "test/parity.ts", ...args], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    encoding: "utf8",
    env: { ...process.env, ...env },
  });

describe("the parity command", () => {
  test("lists a kind it does not know, counts it as failed and exits with 1", () => {
    const dir = mkdtempSync(join(tmpdir(), "nina-parity-"));
    try {
      const cases = [
        { name: "one", kind: "telepathy", file: "one.safetensors" },
        { name: "two", kind: "flow", file: "two.safetensors" },
        { name: "three", kind: "constructor" },
      ];
      writeFileSync(join(dir, "manifest.json"), JSON.stringify({ cases }));
      const { status, stdout, stderr } = command({}, "nina", dir);
      expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
      expect(stdout).toMatch(
        /^one +telepathy +- +- +not implemented\ntwo +flow +- +- +FAIL .+\nthree +constructor +- +- +not implemented\n0 passed, 3 failed\n$/,
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("lists a file of cases it does not know", () => {
    const dir = mkdtempSync(join(tmpdir(), "nina-parity-"));
    try {
      writeFileSync(join(dir, "odd.json"), "{}");
      const { status, stdout } = command({}, "florence2", dir, "--json");
      expect(status).toBe(1);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      ).toMatchObject([
        { name: "odd.json", status: "not implemented" },
        { passed: 0, failed: 1 },
      ]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("explains itself", () => {
    const { status, stdout } = command({}, "--help");
    expect(status).toBe(0);
    for (const word of ["nina|florence2|libero DIR", "--libero", "--robosuite", "--json"])
      expect(stdout).toContain(word);
  });
});

describe("the parity command refuses to start, with exit code 2,", () => {
  const run = (...args: string[]) => command({ LIBERO_ROOT: "", ROBOSUITE_ROOT: "" }, ...args);

  test.each([
    ["without arguments", [], "missing SUITE"],
    ["for an unknown suite", ["maniskill", tmpdir()], 'expected nina, florence2, libero, got "maniskill"'],
    ["for a folder that is not there", ["nina", join(tmpdir(), "absent-goldens")], "absent-goldens"],
    ["for a folder without cases", ["florence2", join(import.meta.dirname, "nina")], "describes no case"],
    ["for a folder without a manifest", ["nina", import.meta.dirname], "manifest.json"],
    ["for scenes without clones", ["libero", tmpdir()], "--libero and --robosuite"],
    [
      "for clones that are none",
      ["libero", tmpdir(), "--libero", tmpdir(), "--robosuite", tmpdir()],
      "libero/libero/assets",
    ],
    ["for clones that nobody reads", ["nina", tmpdir(), "--libero", tmpdir()], "only libero takes"],
    ["with an unknown flag", ["nina", tmpdir(), "--fast"], "--fast"],
  ])("%s", (_, args, message) => {
    const { status, stderr } = run(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});
