import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { type Camera, onPlane, project } from "../../site/robot/camera.ts";

const number = (low: number, high: number) => fc.double({ min: low, max: high, noNaN: true });

/** Somewhere above the table, turned by any quaternion that is not nearly none. */
const cameras = fc
  .record({
    eye: fc.tuple(number(-2, 2), number(-2, 2), number(1.2, 3)),
    turn: fc.tuple(number(-1, 1), number(-1, 1), number(-1, 1), number(-1, 1)),
    fovy: number(20, 100),
  })
  .filter(({ turn }) => Math.hypot(...turn) > 0.1)
  .map(({ eye, turn, fovy }): Camera => {
    const [w, x, y, z] = turn.map((value) => value / Math.hypot(...turn));
    const axes = [
      [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
      [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
      [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ];
    return { eye, axes: axes.flat(), fovy };
  });

const share = number(0, 1);

test.prop([cameras, fc.tuple(share, share), share])(
  "what a place of the picture shows of a plane is seen at that place",
  (camera, place, height) => {
    const shown = onPlane(camera, place, height);
    if (!shown) return; // the ray does not come down to the plane
    expect(shown[2]).toBeCloseTo(height, 9);
    // The eye is at least 0.2 m above the plane: rounding turns the ray by a few units in the last place.
    const seen = project(camera, shown)!;
    for (let i = 0; i < 2; i++) expect(Math.abs(seen[i] - place[i])).toBeLessThan(1e-12);
  },
);

test("above the horizon there is no point of the table", () => {
  const level: Camera = { eye: [0, 0, 1], axes: [1, 0, 0, 0, 0, -1, 0, 1, 0], fovy: 60 }; // looks along +y
  expect(onPlane(level, [0.5, 0.25], 0)).toBeNull();
  expect(onPlane(level, [0.5, 0.75], 0)).not.toBeNull();
  expect(project(level, [0, -1, 0])).toBeNull();
});
