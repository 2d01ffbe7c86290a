import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIBERO_SUITES } from "../../../vla/libero/suite-names.ts";
import { findTask, instructionOf, loadSuite } from "../../../vla/libero/suites.ts";

describe("task names", () => {
  test("are the benchmark's 130, each once in its suite", () => {
    const counts = Object.entries(LIBERO_SUITES).map(([suite, names]) => [suite, new Set(names).size]);
    expect(counts).toEqual([
      ["libero_spatial", 10],
      ["libero_object", 10],
      ["libero_goal", 10],
      ["libero_10", 10],
      ["libero_90", 90],
    ]);
  });

  test.each([
    ["KITCHEN_SCENE10_close_the_top_drawer_of_the_cabinet", "close the top drawer of the cabinet"],
    ["LIVING_ROOM_SCENE2_put_both_cans_in_the_basket", "put both cans in the basket"],
    ["STUDY_SCENE1_pick_up_the_book", "pick up the book"],
    ["open_the_middle_drawer_of_the_cabinet", "open the middle drawer of the cabinet"],
  ])("%s → %s", (name, instruction) => {
    expect(instructionOf(name)).toBe(instruction);
  });
});

describe("loadSuite", () => {
  let root: string;
  const add = (suite: string, name: string): void => {
    for (const [kind, ending] of [
      ["bddl_files", "bddl"],
      ["init_files", "pruned_init"],
    ]) {
      const folder = join(root, "libero", "libero", kind, suite);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${name}.${ending}`), "");
    }
  };
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "suites-"));
    for (const name of ["pour_tea", "SCENE3_boil_water", "add_milk"]) add("mine", name);
    writeFileSync(join(root, "libero", "libero", "bddl_files", "mine", "notes.txt"), "");
  });
  afterAll(() => rmSync(root, { recursive: true }));

  test("a folder of one's own is ordered by file name", () => {
    const { tasks } = loadSuite(root, "mine");
    expect(tasks.map((t) => [t.index, t.name])).toEqual([
      [0, "SCENE3_boil_water"],
      [1, "add_milk"],
      [2, "pour_tea"],
    ]);
    expect(findTask({ name: "mine", tasks }, "add_milk").index).toBe(1);
    expect(findTask({ name: "mine", tasks }, 2).instruction).toBe("pour tea");
  });

  test("LIBERO's suites are in the order of its task map", () => {
    for (const name of LIBERO_SUITES.libero_goal) add("libero_goal", name);
    const { tasks } = loadSuite(root, "libero_goal");
    expect(tasks.map((t) => t.name)).toEqual(LIBERO_SUITES.libero_goal);
    expect(tasks[0].name).toBe("open_the_middle_drawer_of_the_cabinet");
  });

  test.each(["constructor", "toString", "__proto__"])("a folder named %s is one of one's own", (name) => {
    add(name, "pour_tea");
    expect(loadSuite(root, name).tasks.map((t) => t.name)).toEqual(["pour_tea"]);
    rmSync(join(root, "libero", "libero", "bddl_files", name), { recursive: true });
  });

  test("no path leads out of the folder of suites, and one without tasks is none", () => {
    for (const suite of ["../bddl_files/mine", "mine/.", "", ".."])
      expect(() => loadSuite(root, suite)).toThrow(`unknown suite ${suite}; `);
    const empty = join(root, "libero", "libero", "bddl_files", "empty");
    mkdirSync(empty);
    expect(() => loadSuite(root, "empty")).toThrow(`expected tasks (NAME.bddl) in ${empty}, found none`);
    rmSync(empty, { recursive: true });
    // A link to nowhere is no suite, and stands in no one's way.
    symlinkSync(join(root, "nowhere"), empty);
    expect(loadSuite(root, "mine").tasks).toHaveLength(3);
  });

  test("says what exists when something does not", () => {
    expect(() => loadSuite(join(root, "nowhere"), "mine")).toThrow(/found no such folder/);
    expect(() => loadSuite(root, "yours")).toThrow(/unknown suite yours; .* has .*mine/);
    expect(() => findTask(loadSuite(root, "mine"), 3)).toThrow(
      /mine has no task 3; it has\n {2}0 SCENE3_boil_water/,
    );
    add("libero_10", LIBERO_SUITES.libero_10[0]);
    expect(() => loadSuite(root, "libero_10")).toThrow(/libero_10 lacks .*\.bddl \(looked for /);
  });
});

const LIBERO_ROOT = process.env.LIBERO_ROOT;
describe.skipIf(!LIBERO_ROOT)("loadSuite on a clone of LIBERO (needs LIBERO_ROOT)", () => {
  test.each(Object.keys(LIBERO_SUITES))("%s is complete", (suite) => {
    expect(loadSuite(LIBERO_ROOT!, suite).tasks.length).toBe(LIBERO_SUITES[suite].length);
  });
});
