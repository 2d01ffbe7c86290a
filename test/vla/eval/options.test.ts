import { describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/index.ts";
import { readOptions } from "../../../vla/eval/options.ts";

const clones = { LIBERO_ROOT: "/clones/LIBERO", ROBOSUITE_ROOT: "/clones/robosuite" };

describe("readOptions", () => {
  test("chooses a few episodes of the embedded suite, whatever the environment holds", () => {
    const options = readOptions([], clones);
    expect(options).toMatchObject({
      suite: "mini",
      tasks: null,
      episodes: 2,
      first: 0,
      seed: 0,
      frames: false,
      video: false,
    });
    expect(options.protocol.name).toBe("nina");
    expect(options.libero).toMatch(/suites.mini.LIBERO$/);
    expect(options.robosuite).toMatch(/suites.mini.robosuite$/);
  });

  test("takes clones from flags first, then from the environment, and the protocol's number of episodes", () => {
    const flags = ["--suite", "libero_10", "--libero", "/mine"];
    expect(readOptions(flags, clones)).toMatchObject({
      libero: "/mine",
      robosuite: "/clones/robosuite",
      episodes: 50,
    });
    expect(readOptions([...flags, "--protocol", "libero"], clones).episodes).toBe(20);
    expect(readOptions([...flags, "--episodes", "3"], clones).episodes).toBe(3);
  });

  test("a suite of a root of one's own may be called mini too", () => {
    const options = readOptions(["--libero", "/mine", "--robosuite", "/robots"], {});
    expect(options).toMatchObject({ suite: "mini", libero: "/mine", robosuite: "/robots" });
  });

  test("a variable that is set to nothing names no clone", () => {
    const empty = { LIBERO_ROOT: "", ROBOSUITE_ROOT: "" };
    expect(() => readOptions(["--suite", "libero_10"], empty)).toThrow("is read from clones");
  });

  test("results may lie in the folder of episodes", () => {
    expect(readOptions(["--json", "run/results.json", "--out", "run"], {})).toMatchObject({ out: "run" });
  });

  test("reads tasks as indices and names", () => {
    expect(readOptions(["--tasks", "0, 2,push_the_drawer_shut"], {}).tasks).toEqual([
      0,
      2,
      "push_the_drawer_shut",
    ]);
  });

  test("plays starts as they are, made harder, or both in turn", () => {
    expect(readOptions([], {}).conditions).toEqual([{}]);
    expect(readOptions(["--perturb", "noise:2,camera:3"], {}).conditions).toEqual([{ camera: 3, noise: 2 }]);
    expect(readOptions(["--robustness", "noise:2,light:1"], {}).conditions).toEqual([
      {},
      { noise: 2 },
      { light: 1 },
    ]);
  });

  test("takes a checkpoint's sampling as it is, but for what is named", () => {
    expect(readOptions([], {})).toMatchObject({ sampling: {}, logProb: false });
    expect(readOptions(["--temperature", "0.5", "--log-prob"], {})).toMatchObject({
      sampling: { temperature: 0.5 },
      logProb: true,
    });
    const { sampling } = readOptions(["--temperature", "0", "--actions-per-query", "5"], {});
    expect(sampling).toEqual({ temperature: 0, actionsPerQuery: 5 });
  });

  test.each([
    [["--temperature=-1"], "--temperature: expected a number in 0..10, got -1"],
    [["--temperature", "11"], "--temperature: expected a number in 0..10, got 11"],
    [["--actions-per-query", "0"], "--actions-per-query: expected a whole number from 1"],
    [["--policy", "zero", "--temperature", "1"], "only --policy nina takes --temperature"],
    [["--suite", "libero_10"], "suite libero_10 is read from clones (embedded is mini)"],
    [["--speed", "9"], "--speed"],
    [["--episodes", "0"], "--episodes: expected a whole number from 1"],
    [["--episodes", "1.5"], "--episodes: expected a whole number"],
    [["--episodes", "many"], "--episodes: expected a whole number"],
    [["--episodes", "1e3"], "--episodes: expected a whole number"],
    [["--first", "-1"], "--first"],
    [["--seed", "0x10"], "--seed: expected a whole number"],
    [["--seed", "1", "--seed", "2"], "--seed: given twice"],
    [["--json", ""], "--json: expected a value"],
    [
      ["--protocol", "openvla", "--suite", "mine", "--libero", "/mine", "--robosuite", "/robots"],
      'maxSteps of protocol "openvla"',
    ],
    [["--libero", "/mine"], "name both with --libero and --robosuite"],
    [["--json", "run", "--out", "run"], "--json run is where --out run writes"],
    [["--json", "run/../run/episodes.jsonl", "--out", "./run/"], "is where --out ./run/ writes"],
    [["--json", "run/frames/x.json", "--out", "run"], "is where --out run writes"],
    [["--json", "run/videos/x.json", "--out", "run"], "is where --out run writes"],
    [["--json", "run/report.html", "--out", "run"], "is where --out run writes"],
    [["--seed", "4294967296"], "--seed: expected a whole number from 0 to 4294967295"],
    [["--tasks", "0,,1"], '--tasks: expected indices or names, got "0,,1"'],
    [["--protocol", "mine"], "--protocol"],
    [["--contacts", "soft"], "--contacts"],
    [["--policy", "human"], "--policy"],
    [["--policy", "zero", "actions.json"], "only --policy replay takes a file, got actions.json"],
    [["--policy", "zero", "--checkpoint", "mine"], "only --policy nina takes --checkpoint, got mine"],
    [["--robosuite", "/robots"], "--robosuite needs --libero for suite mini"],
    [["--frames"], "--frames needs --out"],
    [["--video"], "--video needs --out"],
    [["--watch", "65536"], "--watch: expected at most 65535, got 65536"],
    [["--perturb", "camera"], "--perturb: expected a level, as camera:3, got camera"],
    [["--robustness", "cameras"], 'got "cameras"'],
    [["--perturb", "camera:1", "--robustness", "all"], "expected --perturb or --robustness, got both"],
    [["--swap-words", "--perturb", "camera:1"], "--swap-words plays starts as they are"],
    [["--swap-words", "--robustness", "all"], "--swap-words plays starts as they are"],
    [
      ["--frames", "--out", "run", "--robustness", "all"],
      "--frames keeps one episode of each start, and --robustness plays several",
    ],
  ])("refuses %j", (argv, message) => {
    expect(() => readOptions(argv, {})).toThrow(UsageError);
    expect(() => readOptions(argv, {})).toThrow(message);
  });
});
