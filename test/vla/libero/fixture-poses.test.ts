import { expect, test } from "vitest";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { placeFixtures, readFixturePoses } from "../../../vla/libero/fixture-poses.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";

const scenes = loadSuite(miniRoots.libero, MINI).tasks.map((task) => composeScene({ ...miniRoots, task }));

test("fixtures are found where they were placed, and nothing else is changed", () => {
  const fixtures = scenes.flatMap(({ objects }) => objects).filter(({ kind }) => kind === "fixture");
  expect(fixtures.length).toBeGreaterThan(0);
  for (const scene of scenes)
    for (const seed of [0, 7]) {
      const poses = scene.fixturePoses(seed, 0);
      const placed = placeFixtures(scene, poses);
      expect(readFixturePoses(scene, placed, "placed")).toEqual(poses);
      // The same lines but those of the fixtures' root bodies.
      const [before, after] = [scene.mjcf.split("\n"), placed.split("\n")];
      const changed = after.filter((line, i) => line !== before[i]);
      expect(after.length).toBe(before.length);
      expect(changed.length).toBe(poses.size);
      for (const line of changed) expect(line).toMatch(/^ *<body name="\w+_main"/);
    }
});

test("a model of another scene is refused", () => {
  const withCabinet = scenes.find(({ objects }) => objects.some(({ kind }) => kind === "fixture"))!;
  const without = scenes.find(({ objects }) => objects.every(({ kind }) => kind === "object"))!;
  expect(() => readFixturePoses(withCabinet, without.mjcf, "episode")).toThrow(
    /^episode: expected a body "\w+_main", found none/,
  );
});
