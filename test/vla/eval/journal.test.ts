import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Files, Journal } from "../../../vla/eval/journal.ts";
import type { EpisodeLine, EpisodeResult, Results, TimingLine } from "../../../vla/eval/results.ts";

let folder: string;
let out: string;
let lines: string;
let json: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nina-journal-"));
  out = join(folder, "run");
  lines = join(out, "episodes.jsonl");
  json = join(folder, "results.json");
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const engine = { node: "20", mujoco: "3", contacts: "native", fma: true };
const run = {
  suite: "mini",
  policy: "zero",
  untrained: false,
  seed: 0,
  protocol: "nina",
  overlap: 0,
  swapWords: false,
  cameraSize: 64,
  engine,
};
const episode = (init: number) => ({ init, outcome: "failure", steps: 1 }) as unknown as EpisodeResult;
const line = (init: number): EpisodeLine => ({
  ...run,
  ...episode(init),
  task: "push",
  instruction: "push",
  actions: [[0, 0, 0, 0, 0, 0, 0]],
});
const results = (episodes: number): Results => ({
  ...run,
  complete: false,
  tasks: [
    { task: "push", instruction: "push", episodes: Array.from({ length: episodes }, (_, i) => episode(i)) },
  ],
});
const read = (path: string) => readFileSync(path, "utf8");
const timing = (init: number): TimingLine => ({
  task: "push",
  init,
  policyMs: 1,
  simMs: 2,
  renderMs: 3,
  controlHz: 4,
});
const manifest = { format: 1, run: { seed: 0 }, tasks: ["push"] };
function open(files: Partial<Files>, of: object = manifest): Journal {
  const journal: Journal = Journal.open({ frames: false, ...files }, of);
  journal.begin();
  return journal;
}
type Asked = "json" | "out" | "frames";
const files = (asked: Asked): Partial<Files> =>
  asked === "json" ? { json } : { out, frames: asked === "frames" };

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** All files, with what is in them. */
const tree = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, read(join(entry.parentPath, entry.name))]);

/** What a run leaves that was killed while it wrote. */
const torn = '{"suite":"mini","task":"pu';

describe("Journal", () => {
  test("keeps each episode in both files at once", () => {
    using journal = open({ json, out });
    journal.save(results(0));
    expect(JSON.parse(read(json))).toEqual(results(0));
    for (const n of [1, 2]) {
      journal.keep(line(n - 1), timing(n - 1), results(n));
      expect(JSON.parse(read(json))).toEqual(results(n));
      expect(read(lines)).toBe(
        [0, 1]
          .slice(0, n)
          .map((init) => `${JSON.stringify(line(init))}\n`)
          .join(""),
      );
    }
    journal.finish(results(2));
    expect(JSON.parse(read(json))).toEqual(results(2));
  });

  test("leaves nothing but the files behind", () => {
    open({ json, out })[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual(["run"]);
    expect(readdirSync(out)).toEqual(["manifest.json"]);
    expect(JSON.parse(read(join(out, "manifest.json")))).toEqual(manifest);
  });

  test("goes on in the folder of the same run, and keeps what it has", () => {
    const first = open({ json, out });
    for (const n of [1, 2]) first.keep(line(n), timing(n), results(n));
    first[Symbol.dispose]();
    // Killed in the middle of two lines.
    for (const name of ["episodes.jsonl", "timings.jsonl"])
      writeFileSync(join(out, name), `${read(join(out, name))}${torn}`);
    const told = vi.spyOn(console, "error").mockReturnValue();

    const again = open({ json, out });
    expect(told).toHaveBeenCalledTimes(2);
    const whatIsKept = [line(1), line(2)].map(({ actions: _, ...rest }) => rest);
    expect(again.kept).toEqual(whatIsKept);
    expect(again.timings).toEqual([timing(1), timing(2)]);
    again.keep(line(0), timing(0), results(3));
    again.finish(results(3), ({ init }) => init);
    again[Symbol.dispose]();
    expect(read(lines)).toBe([0, 1, 2].map((init) => `${JSON.stringify(line(init))}\n`).join(""));
    using third = open({ json, out });
    expect(third.kept).toHaveLength(3);
  });

  test("refuses the folder of another run, says where they differ, and changes nothing", () => {
    const first = open({ out });
    first.keep(line(0), timing(0), results(1));
    first[Symbol.dispose]();
    const before = tree();
    expect(() => open({ out }, { ...manifest, run: { seed: 7 } })).toThrow(
      "manifest.json: expected the manifest of this run, found that of another: run.seed: 0, and 7: name another folder",
    );
    const many = { ...manifest, tasks: ["a", "b", "c", "d", "e", "f", "g"] };
    expect(() => open({ out }, many)).toThrow('tasks.0: "push", and "a"; tasks.1: nothing, and "b"');
    expect(() => open({ out }, many)).toThrow("; and 2 more: name another folder");
    expect(tree()).toEqual(before);
    put(join(out, "manifest.json"), "{");
    expect(() => open({ out })).toThrow("manifest.json: expected the manifest of a run, found {");
  });

  test("refuses results of other episodes than the folder's, and lines that are none", () => {
    const first = open({ out });
    first.keep({ ...line(0), trajectoryHash: "00" }, timing(0), results(1));
    first[Symbol.dispose]();
    const [task] = results(1).tasks;
    const of = (trajectoryHash: string) => {
      const episodes = [{ ...task.episodes[0], trajectoryHash }];
      return JSON.stringify({ ...results(1), tasks: [{ ...task, episodes }] });
    };
    put(json, of("01"));
    expect(() => open({ json, out })).toThrow("results.json: expected nothing of an earlier run, found some");
    put(json, of("00"));
    open({ json, out })[Symbol.dispose]();
    const sound = read(lines);
    writeFileSync(lines, `null\n${sound}`);
    expect(() => open({ out })).toThrow(
      "episodes.jsonl: expected an object in each line, found null at byte 0",
    );
    writeFileSync(lines, `nonsense\n${sound}`);
    expect(() => open({ out })).toThrow("episodes.jsonl, line 1: expected JSON, found nonsense");
  });

  test("touches no results before it has new ones", () => {
    writeFileSync(json, JSON.stringify(results(0)));
    using journal = open({ json });
    expect(JSON.parse(read(json))).toEqual(results(0));
    journal.keep(line(0), timing(0), results(1));
    expect(JSON.parse(read(json))).toEqual(results(1));
  });

  test.each<[string, Asked, () => void]>([
    ["results with an episode", "json", () => put(json, JSON.stringify(results(1)))],
    ["a file that holds no results", "json", () => put(json, '{"name": "nina-ts"}')],
    ["a file that is no JSON", "json", () => put(json, "# Notes")],
    ["a finished line", "out", () => put(lines, `${JSON.stringify(line(0))}\n`)],
    ["a line without its newline", "out", () => put(lines, JSON.stringify(line(0)))],
    ["a finished line before a torn one", "out", () => put(lines, `${JSON.stringify(line(0))}\n${torn}`)],
    ["pictures", "frames", () => put(join(out, "frames", "agentview_0000.png"), "")],
  ])("refuses %s of an earlier run, and changes nothing", (_, asked, prepare) => {
    prepare();
    const before = tree();
    expect(() => open(files(asked))).toThrow(
      /: expected nothing of an earlier run, found some: name another place, or delete it$/,
    );
    expect(tree()).toEqual(before);
  });

  test.each<[string, Asked, string]>([
    ["a second run on its results", "json", "results.json"],
    ["a second run on its folder", "out", "manifest.json"],
  ])("refuses %s", (_, asked, name) => {
    using _first = open({ json, out });
    expect(() => open(files(asked))).toThrow(new RegExp(`${name}: another run writes it`));
  });

  test("two names for one file are one file", () => {
    const link = join(folder, "link.json");
    writeFileSync(json, "");
    symlinkSync(json, link);
    const first = open({ json });
    expect(() => open({ json: link })).toThrow("another run writes it");
    first[Symbol.dispose]();
    open({ json: link })[Symbol.dispose]();
  });

  test("removes a torn line of a run that was killed, and says so once", () => {
    mkdirSync(out);
    writeFileSync(lines, torn);
    const told = vi.spyOn(console, "error").mockReturnValue();
    using journal = open({ out });
    journal.keep(line(0), timing(0), results(1));
    expect(read(lines)).toBe(`${JSON.stringify(line(0))}\n`);
    expect(told.mock.calls).toEqual([[`${lines}: removed an unfinished line: ${torn}`]]);
  });

  test.each<[string, Asked, () => void, RegExp]>([
    [
      "results that are a folder",
      "json",
      () => mkdirSync(json),
      /results\.json: cannot be written: it is a folder$/,
    ],
    ["a folder that is a file", "out", () => put(out, ""), /run\/manifest\.json: cannot be written: ENOTDIR/],
    [
      "lines that are a folder",
      "out",
      () => mkdirSync(lines, { recursive: true }),
      /episodes\.jsonl: expected a regular file, found a folder$/,
    ],
    [
      "lines that are a pipe",
      "out",
      () => {
        mkdirSync(out);
        spawnSync("mkfifo", [lines]);
      },
      /episodes\.jsonl: expected a regular file, found a device or pipe$/,
    ],
    [
      "frames that are a file",
      "frames",
      () => put(join(out, "frames"), ""),
      /frames: cannot be written: ENOTDIR/,
    ],
  ])("refuses %s when it is opened", (_, asked, prepare, message) => {
    prepare();
    expect(() => open(files(asked))).toThrow(message);
  });

  test("refuses results in a folder that is not there when it is opened", () => {
    const absent = join(folder, "absent", "results.json");
    expect(() => open({ json: absent })).toThrow(`${absent}: cannot be written: ENOENT`);
  });

  test("an episode that one file does not take is in the other", () => {
    using journal = open({ json, out });
    journal.keep(line(0), timing(0), results(1));
    rmSync(lines);
    mkdirSync(lines);
    expect(() => journal.keep(line(1), timing(1), results(2))).toThrow(
      /episodes\.jsonl: cannot be written: EISDIR[^;]*$/,
    );
    expect(JSON.parse(read(json))).toEqual(results(2));

    rmSync(lines, { recursive: true });
    rmSync(json);
    mkdirSync(json);
    expect(() => journal.keep(line(2), timing(2), results(3))).toThrow(
      /results\.json: cannot be written: it is a folder$/,
    );
    expect(read(lines)).toBe(`${JSON.stringify(line(2))}\n`);

    rmSync(lines);
    mkdirSync(lines);
    expect(() => journal.keep(line(3), timing(3), results(4))).toThrow(
      /episodes\.jsonl: .*; .*results\.json: /,
    );
  });

  test("a device gets results once, at the end", () => {
    using journal = open({ json: "/dev/null" });
    expect(journal.ownsStdout).toBe(false);
    journal.save(results(0));
    journal.keep(line(0), timing(0), results(1));
    journal.finish(results(1));
    expect(readdirSync(folder)).toEqual([]);

    using full = open({ json: "/dev/full" });
    full.keep(line(0), timing(0), results(1));
    expect(() => full.finish(results(1))).toThrow(/^\/dev\/full: cannot be written: ENOSPC/);
  });
});
