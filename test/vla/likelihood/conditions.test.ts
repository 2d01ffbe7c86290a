import { expect, test } from "vitest";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { stagingsOf } from "../../../vla/likelihood/conditions.ts";
import { CONDITIONS } from "../../../vla/likelihood/signals.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const suite = loadSuite(miniRoots.libero, MINI);
const move = { right: 0.05, turn: 5 };
const named = (instruction: string) => suite.tasks.find((task) => task.instruction === instruction)!;

test("each task is staged as it is, and with one thing changed", () => {
  const tasks = [named("put the red block on the plate"), named("push the drawer shut")];
  const stagings = stagingsOf(suite, tasks, miniRoots, move);
  expect(stagings.map(({ task, condition }) => [task, condition])).toEqual(
    tasks.flatMap((task) => CONDITIONS.map((condition) => [task, condition])),
  );
  for (const task of tasks) {
    const [plain, camera, colour, words] = stagings.filter((one) => one.task === task);
    expect(new Set([plain, camera, colour].map(({ scene }) => scene.mjcf)).size).toBe(3);
    expect(words.scene).toBe(plain.scene);
    for (const { told } of [plain, camera, colour]) expect(told(3)).toBe(task);
    for (let init = 0; init < 10; init++) {
      expect(suite.tasks).toContain(words.told(init));
      expect(words.told(init).instruction).not.toBe(task.instruction);
    }
  }
});

test("the object of the task has the other colour, with all its parts", () => {
  const violet = (instruction: string): string[] => {
    const stagings = stagingsOf(suite, [named(instruction)], miniRoots, move);
    const { scene } = stagings.find(({ condition }) => condition === "colour")!;
    const lines = scene.mjcf.split("\n").filter((line) => line.includes('rgba="0.55 0.15 0.75 1"'));
    return lines.map((line) => /material="(.*?)_/.exec(line)![1]);
  };
  expect(violet("put the red block on the plate")).toEqual(["red"]);
  expect(new Set(violet("push the drawer shut"))).toEqual(new Set(["small"])); // small_cabinet, by its drawer's region
});

test("a task that is alone in its scene has no wrong instruction", () => {
  const task = named("push the drawer shut");
  const alone = stagingsOf({ ...suite, tasks: [task] }, [task], miniRoots, move);
  expect(alone.map(({ condition }) => condition)).toEqual(["as is", "camera", "colour"]);
});
