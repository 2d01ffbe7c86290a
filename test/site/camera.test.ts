import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { type Camera, onPlane, project, type Vector } from "../../site/robot/camera.ts";
import { quaternionMatrix } from "../../vla/libero/rotation.ts";

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
    const axes = new Float64Array(9);
    const [w, x, y, z] = turn.map((value) => value / Math.hypot(...turn));
    quaternionMatrix(axes, w, x, y, z);
    return { eye, axes, fovy };
  });

test.prop([cameras, fc.tuple(number(-1, 1), number(-1, 1), number(0, 1))])(
  "what is seen of a point leads back to it",
  (camera, point) => {
    const seen = project(camera, point as Vector);
    if (!seen) return; // behind the camera
    const depth = point.map((value, i) => value - camera.eye[i]);
    const away = Math.hypot(...depth);
    const found = onPlane(camera, seen, point[2])!;
    // A ray that nearly runs along the plane magnifies rounding.
    const slant = away / Math.abs(depth[2]);
    for (let i = 0; i < 3; i++) expect(Math.abs(found[i] - point[i])).toBeLessThan(1e-10 * slant * slant);
  },
);

test("above the horizon there is no point of the table", () => {
  const level: Camera = { eye: [0, 0, 1], axes: [1, 0, 0, 0, 0, -1, 0, 1, 0], fovy: 60 }; // looks along +y
  expect(onPlane(level, [0.5, 0.25], 0)).toBeNull();
  expect(onPlane(level, [0.5, 0.75], 0)).not.toBeNull();
  expect(project(level, [0, -1, 0])).toBeNull();
});
