import { describe, expect, test } from "vitest";
import { companionsOf } from "../../../vla/libero/companions.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const { LIBERO_ROOT } = process.env;

/** The indices of each task's companions. */
function indicesOf(root: string, suite: string): number[][] {
  const { tasks } = loadSuite(root, suite);
  const companions = companionsOf(tasks);
  return tasks.map((task) => companions.get(task)!.map((other) => other.task.index));
}

test("companions share the scene, come in order from the task on, and ask for something that is not its own", () => {
  expect(indicesOf(miniRoots.libero, MINI)).toEqual([
    [1, 2, 3, 4],
    [2, 3, 4, 0],
    // Not 1, both blocks into the tray: whoever does it does 2 too, the green one into the tray.
    [3, 4, 0],
    [4, 0, 1, 2],
    [0, 1, 2, 3],
    [6],
    [5],
    [8],
    [7],
    [10],
    [9],
  ]);
});

test("a companion's goal is that of its file", () => {
  const { tasks } = loadSuite(miniRoots.libero, MINI);
  const [{ task, goal }] = companionsOf(tasks).get(tasks[7])!;
  expect([task, goal]).toEqual([tasks[8], [["close", "small_cabinet_1_drawer_region"]]]);
});

describe.skipIf(!LIBERO_ROOT)("on LIBERO (needs LIBERO_ROOT)", () => {
  test("libero_goal is one scene, libero_spatial ten, in libero_90 no task is alone", () => {
    // In libero_goal every goal is another one, and none includes another.
    const all = Array.from({ length: 10 }, (_, i) => i);
    for (const [i, others] of indicesOf(LIBERO_ROOT!, "libero_goal").entries())
      expect(others).toEqual([...all.slice(i + 1), ...all.slice(0, i)]);
    expect(indicesOf(LIBERO_ROOT!, "libero_spatial")).toEqual(all.map(() => []));
    expect(indicesOf(LIBERO_ROOT!, "libero_90").filter((others) => others.length === 0)).toEqual([]);
  });
});
