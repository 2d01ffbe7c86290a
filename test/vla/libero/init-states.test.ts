import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FormatError } from "../../../core/index.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { writeInitStates } from "../../../vla/libero/init-states-writer.ts";
import { layoutOf } from "../../../vla/libero/state-layout.ts";
import { LIBERO_SUITES } from "../../../vla/libero/suite-names.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { numpyFile } from "../../core/formats/build.ts";

const { LIBERO_ROOT: ROOT, ROBOSUITE_ROOT } = process.env;

describe.skipIf(!ROOT || !ROBOSUITE_ROOT)(
  "readInitStates on LIBERO's files (needs LIBERO_ROOT, ROBOSUITE_ROOT)",
  () => {
    test("50 rows of 1 + nq + nv, time 0, unit quaternions", () => {
      const [task] = loadSuite(ROOT!, "libero_spatial").tasks;
      const states = readInitStates(task.initPath);
      expect(states.length).toBe(50);
      for (const row of states) {
        expect(row.length).toBe(1 + 48 + 43); // 9 robot joints, 5 free bodies, 4 fixture joints
        expect(row[0]).toBe(0);
        const [w, x, y, z] = row.subarray(1 + 9 + 3, 1 + 9 + 7);
        expect(Math.hypot(w, x, y, z)).toBeCloseTo(1, 9);
      }
      expect(states[0]).not.toEqual(states[1]);
    });

    test("all 130 files hold 50 states of their scenes", () => {
      const tasks = Object.keys(LIBERO_SUITES).flatMap((suite) => loadSuite(ROOT!, suite).tasks);
      expect(tasks).toHaveLength(130);
      for (const task of tasks) {
        const { layout } = composeScene({ libero: ROOT!, robosuite: ROBOSUITE_ROOT!, task });
        expect(readInitStates(task.initPath, layout).length).toBe(50);
      }
    });
  },
);

describe("readInitStates", () => {
  const path = join(mkdtempSync(join(tmpdir(), "init-states-")), "a.pruned_init");
  afterAll(() => rmSync(dirname(path), { recursive: true }));
  const layout = layoutOf(["slide", "free"]);
  const good = [0, 0.1, 1, 2, 3, 1, 0, 0, 0, ...new Array(7).fill(0)];

  test("gives the rows of a file that fits the scene", () => {
    writeInitStates(path, [good, good]);
    expect(readInitStates(path, layout)).toEqual([Float64Array.from(good), Float64Array.from(good)]);
  });

  test("takes one state without rows, as LIBERO-plus has it", () => {
    writeFileSync(path, numpyFile([good.length], Float64Array.from(good)));
    expect(readInitStates(path, layout)).toEqual([Float64Array.from(good)]);
    writeFileSync(path, numpyFile([0], new Float64Array(0)));
    expect(() => readInitStates(path)).toThrow("an array of states (rows, 1 + nq + nv), found shape (0)");
  });

  test.each([
    [good.slice(1), "state 0: expected 16 numbers (time, qpos, qvel), found 15"],
    [
      good.with(2, 2e10),
      "state 1: expected finite numbers, at most 10000000000 in size, found 20000000000 at index 2",
    ],
    [good.with(5, 0), "state 1: expected a quaternion of length 1 at index 5, found length 0"],
  ])("names the first row that cannot be a state of it, case %#", (row, message) => {
    writeInitStates(path, row.length === good.length ? [good, row, row] : [row]);
    expect(() => readInitStates(path, layout)).toThrow(FormatError);
    expect(() => readInitStates(path, layout)).toThrow(`${path}: ${message}`);
  });

  test("names the file that is missing", () => {
    expect(() => readInitStates("/nowhere/task.pruned_init")).toThrow(/task\.pruned_init/);
  });
});
