import { describe, expect, test } from "vitest";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";

const ROOT = process.env.LIBERO_ROOT;

describe.skipIf(!ROOT)("readInitStates on LIBERO's files (needs LIBERO_ROOT)", () => {
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

  test("every suite's files can be read", () => {
    for (const suite of ["libero_spatial", "libero_object", "libero_goal", "libero_10"]) {
      for (const task of loadSuite(ROOT!, suite).tasks) expect(readInitStates(task.initPath).length).toBe(50);
    }
  });
});

describe("readInitStates", () => {
  test("names the file that is missing", () => {
    expect(() => readInitStates("/nowhere/task.pruned_init")).toThrow(/task\.pruned_init/);
  });
});
