import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import {
  DIMENSIONS,
  type Dimension,
  LEVELS,
  type Level,
  readGrid,
  readLevels,
  showLevels,
} from "../../../vla/perturb/dimensions.ts";

const entries = fc.uniqueArray(fc.tuple(fc.constantFrom(...DIMENSIONS), fc.constantFrom(...LEVELS)), {
  minLength: 1,
  selector: ([dimension]: readonly [Dimension, Level]) => dimension,
});

describe("levels", () => {
  test.prop([entries])("are read as they are written, in any order", (some) => {
    const text = some.map(([dimension, level]) => `${dimension}:${level}`).join(",");
    const levels = readLevels("--perturb", text);
    expect(levels).toEqual(Object.fromEntries(some));
    expect(readLevels("--perturb", showLevels(levels))).toEqual(levels);
  });

  test("without any have a name", () => {
    expect(showLevels({})).toBe("none");
  });

  test.each([
    [
      "",
      'expected DIMENSION:LEVEL of position, distractors, camera, robot, language, light, textures, noise, got ""',
    ],
    ["smell:1", 'got "smell:1"'],
    ["camera:3:4", 'got "camera:3:4"'],
    ["camera", "expected a level, as camera:3, got camera"],
    ["camera:0", 'expected a level from 1 to 5 for camera, got "0"'],
    ["camera:6", 'got "6"'],
    ["camera:1,noise:2,camera:1", "camera is given twice"],
  ])("%j is refused", (text, message) => {
    expect(() => readLevels("--perturb", text)).toThrow(message);
  });
});

describe("a grid", () => {
  test("is every dimension at every level, or what is named", () => {
    expect(readGrid("--robustness", "all")).toHaveLength(DIMENSIONS.length * LEVELS.length);
    expect(readGrid("--robustness", "noise, camera:2").map(showLevels)).toEqual([
      "noise:1",
      "noise:2",
      "noise:3",
      "noise:4",
      "noise:5",
      "camera:2",
    ]);
  });

  test("plays nothing twice", () => {
    expect(() => readGrid("--robustness", "noise,noise:2")).toThrow("noise:2 is given twice");
  });
});
