import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

  describe("of a clone of LIBERO-PRO", () => {
    const text = (words: string) => `(define (problem libero_tabletop_manipulation) (:domain robosuite)
      (:language ${words}) (:regions) (:fixtures) (:objects) (:obj_of_interest) (:init) (:goal (And (On a b))))`;
    const addAll = (suite: string, names: readonly string[]): void => {
      for (const name of names) {
        add(suite, name);
        writeFileSync(
          join(root, "libero", "libero", "bddl_files", suite, `${name}.bddl`),
          text(`Do ${name}`),
        );
      }
    };

    test("a variant has the order of LIBERO's suite, and the words of its files", () => {
      addAll("libero_goal_task", LIBERO_SUITES.libero_goal);
      const { tasks } = loadSuite(root, "libero_goal_task");
      expect(tasks.map(({ name }) => name)).toEqual(LIBERO_SUITES.libero_goal);
      expect(tasks[0].instruction).toBe("do open_the_middle_drawer_of_the_cabinet");
    });

    test("one of other tasks is ordered by file name", () => {
      addAll("libero_10_temp", ["stir", "pour"]);
      expect(loadSuite(root, "libero_10_temp").tasks.map(({ name }) => name)).toEqual(["pour", "stir"]);
    });
  });

  describe("of a clone of LIBERO-plus", () => {
    const BOWL = LIBERO_SUITES.libero_spatial[0];
    const list = join("libero", "libero", "benchmark", "task_classification.json");
    let plus: string;
    const put = (path: string, text = ""): void => {
      mkdirSync(join(plus, path, ".."), { recursive: true });
      writeFileSync(join(plus, path), text);
    };
    beforeAll(() => {
      plus = mkdtempSync(join(tmpdir(), "plus-"));
      const names = [
        "table_3",
        "view_0_0_100_0_0_initstate_7",
        "light_4",
        "add_9",
        "level2_sample1",
        "language_5",
      ];
      const entries = names.map((name, id) => ({
        id,
        name: `${BOWL}_${name}`,
        category: "any",
        difficulty_level: 1,
      }));
      put(list, JSON.stringify({ libero_spatial: entries }));
      for (const { name } of entries.filter(({ id }) => id !== 1))
        put(
          `libero/libero/bddl_files/libero_spatial/${name}.bddl`,
          `(define (problem p) (:domain robosuite) (:language Take the bowl) (:regions) (:fixtures) (:objects)
            (:obj_of_interest) (:init) (:goal (And (On a b))))`,
        );
      put(`libero/libero/init_files/libero_spatial/${BOWL}.pruned_init`);
      for (const name of ["add_9", "level2_sample1"])
        put(`libero/libero/init_files/libero_newobj/libero_spatial/${BOWL}_${name}.pruned_init`);
    });
    afterAll(() => rmSync(plus, { recursive: true }));

    test("has the tasks that it has files for, at their places in its list, with the starts they share", () => {
      const { tasks } = loadSuite(plus, "libero_spatial");
      const own = (name: string) => join("libero_newobj", "libero_spatial", `${BOWL}_${name}.pruned_init`);
      const shared = join("libero_spatial", `${BOWL}.pruned_init`);
      const starts = tasks.map(({ index, name, initPath }) => [
        index,
        name.slice(BOWL.length + 1),
        initPath.slice(join(plus, "libero", "libero", "init_files").length + 1),
      ]);
      expect(starts).toEqual([
        [0, "table_3", shared],
        [2, "light_4", shared],
        [3, "add_9", own("add_9")],
        [4, "level2_sample1", own("level2_sample1")],
        [5, "language_5", shared],
      ]);
      expect(tasks[1].instruction).toBe(`${BOWL.replaceAll("_", " ")} light 4`);
      expect(tasks[4].instruction).toBe("take the bowl");
    });

    test("is refused for a list that cannot be meant", () => {
      const good = readFileSync(join(plus, list), "utf8");
      put(list, good.replace(`${BOWL}_table_3`, "../x"));
      expect(() => loadSuite(plus, "libero_spatial")).toThrow(
        "task_classification.json: libero_spatial[0]: name",
      );
      put(list, "{");
      expect(() => loadSuite(plus, "libero_spatial")).toThrow("task_classification.json: expected JSON");
      put(list, good);
    });
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
