import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Lock } from "../../../vla/eval/lock.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "nina-lock-"));
const file = join(folder, "results.json");
const lock = `${file}.lock`;
beforeEach(() => rmSync(lock, { force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

/** The number of a process that is over. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

const holder = (change: object) =>
  JSON.stringify({ pid: process.pid, host: hostname(), started: "then", ...change });

describe("Lock", () => {
  test("lets one in at a time", () => {
    const first = Lock.take(file);
    expect(JSON.parse(readFileSync(lock, "utf8"))).toMatchObject({ pid: process.pid, host: hostname() });
    expect(() => Lock.take(file)).toThrow(
      new RegExp(`^${file}: another run writes it \\(process ${process.pid} on .*; .*delete ${lock}$`),
    );
    first[Symbol.dispose]();
    expect(existsSync(lock)).toBe(false);
    Lock.take(file)[Symbol.dispose]();
  });

  test("knows a file by each of its names", () => {
    writeFileSync(file, "");
    const link = join(folder, "link.json");
    symlinkSync(file, link);
    using _ = Lock.take(link);
    expect(() => Lock.take(file)).toThrow("another run writes it");
    rmSync(file);
  });

  test.each([
    ["a process that was killed", () => holder({ pid: deadPid() })],
    ["an earlier process of our number", () => holder({})],
  ])("takes over what %s has left", (_, text) => {
    writeFileSync(lock, text());
    using taken = Lock.take(file);
    expect(taken).toBeDefined();
    expect(JSON.parse(readFileSync(lock, "utf8")).started).not.toBe("then");
  });

  test.each([
    [
      "a process that lives",
      holder({ pid: process.ppid }),
      `process ${process.ppid} on ${hostname()} since then`,
    ],
    [
      "a process of another machine",
      holder({ pid: 1, host: "elsewhere" }),
      "process 1 on elsewhere since then",
    ],
    ["a lock that was not filled yet", "", "unknown"],
    ["a lock without a process", holder({ pid: -1 }), "unknown"],
  ])("respects %s", (_, text, who) => {
    writeFileSync(lock, text);
    expect(() => Lock.take(file)).toThrow(`another run writes it (${who})`);
    expect(readFileSync(lock, "utf8")).toBe(text);
  });

  test("names the file that cannot be written", () => {
    const absent = join(folder, "absent", "results.json");
    expect(() => Lock.take(absent)).toThrow(`${absent}: cannot be written: ENOENT`);
  });

  const script =
    'import { Lock } from "./vla/eval/lock.ts"; Lock.take(process.argv[1]); console.log("taken");';
  const take = (rest: string) =>
    spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script + rest, file], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
    });

  test("goes with its process, by process.exit too", async () => {
    expect(await once(take("process.exit(0);"), "exit")).toEqual([0, null]);
    expect(existsSync(lock)).toBe(false);
  });

  test("of four processes that find a stale one, one gets it", async () => {
    for (let round = 0; round < 3; round++) {
      writeFileSync(lock, holder({ pid: deadPid() }));
      const children = Array.from({ length: 4 }, () => take("setInterval(() => {}, 1000);"));
      // Who fails to take it ends; the one that has it stays.
      const ends = children.map((child) => once(child, "exit"));
      const taken = children.map((child) => once(child.stdout, "data").then(() => child));
      const winner = await Promise.race(taken);
      await Promise.all(children.map((child, i) => (child === winner ? null : ends[i])));
      expect(children.filter((child) => child.exitCode === 1)).toHaveLength(3);
      expect(JSON.parse(readFileSync(lock, "utf8")).pid).toBe(winner.pid);
      winner.kill("SIGKILL");
      await once(winner, "exit");
    }
  });
});
