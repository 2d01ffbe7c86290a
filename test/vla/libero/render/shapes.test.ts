import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import {
  boxSurface,
  cylinderSurface,
  finiteAxis,
  infiniteAxis,
  planeSurface,
  sphereSurface,
} from "../../../../vla/libero/render/shapes.ts";
import { CORNER_NORMAL, CORNER_STRIDE, type Surface, weld } from "../../../../vla/libero/render/surface.ts";

/** Three numbers of each corner of each triangle: its position, or its normal. */
const each = ({ corners, triangleCorners }: Surface, from: number): number[][][] =>
  Array.from({ length: triangleCorners.length / 3 }, (_, t) =>
    [...triangleCorners.subarray(3 * t, 3 * t + 3)].map((corner) => [
      ...corners.subarray(CORNER_STRIDE * corner + from, CORNER_STRIDE * corner + from + 3),
    ]),
  );

/** Signed volume by the divergence theorem: positive when all triangles face outwards. */
function volume(surface: Surface): number {
  let sum = 0;
  for (const [a, b, c] of each(surface, 0)) {
    sum += a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]);
    sum += a[2] * (b[0] * c[1] - b[1] * c[0]);
  }
  return sum / 6;
}

describe.each([
  ["box", boxSurface(4), 8, 1e-6],
  ["sphere", sphereSurface(28, 16), (4 / 3) * Math.PI, 0.03],
  ["cylinder", cylinderSurface(28, 16, true), 2 * Math.PI, 0.01],
] as const)("the unit %s", (_, surface, expected, missing) => {
  test("faces outwards and has about the volume of the ideal shape", () => {
    const ratio = volume(surface) / expected;
    expect(ratio).toBeLessThan(1 + 1e-6);
    expect(ratio).toBeGreaterThan(1 - missing); // what 28 slices cut off
  });

  test("has unit normals on the side its triangles face", () => {
    const normals = each(surface, CORNER_NORMAL);
    each(surface, 0).forEach(([a, b, c], t) => {
      const [u, v] = [b, c].map((p) => p.map((x, i) => x - a[i]));
      const face = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const n of normals[t]) {
        expect(Math.hypot(...n)).toBeCloseTo(1, 5);
        expect(n[0] * face[0] + n[1] * face[1] + n[2] * face[2]).toBeGreaterThanOrEqual(-1e-7);
      }
    });
  });

  test("has texture coordinates in [0, 1] (a pole's may lie half a slice outside)", () => {
    for (const uv of surface.uvs!) {
      expect(uv).toBeGreaterThanOrEqual(-0.5 / 28 - 1e-6);
      expect(uv).toBeLessThanOrEqual(1 + 0.5 / 28 + 1e-6);
    }
  });
});

describe("the grid of a plane", () => {
  property.prop([
    fc.double({ min: 0.01, max: 100, noNaN: true }),
    fc.double({ min: 0.001, max: 200, noNaN: true }),
  ])("ascends from end to end of a finite axis", (half, spacing) => {
    const { lines } = finiteAxis(half, spacing);
    expect(lines[0]).toBe(-half);
    expect(lines.at(-1)).toBe(half);
    for (let i = 1; i < lines.length; i++) expect(lines[i]).toBeGreaterThan(lines[i - 1]);
    expect(lines.length).toBeLessThanOrEqual(201);
  });

  test("reaches beyond the far plane along an infinite axis, wherever the camera is within a step", () => {
    for (const repeat of [0, 0.1, 1, 30]) {
      const { lines, step } = infiniteAxis(50, repeat);
      expect(lines.length).toBe(201);
      expect(lines[200] - step).toBeGreaterThanOrEqual(50);
      expect(lines[0] + step).toBeLessThanOrEqual(-50);
    }
  });

  test("faces +z", () => {
    const axis = finiteAxis(1, 0.5);
    const normals = each(planeSurface(axis, axis), CORNER_NORMAL).flat();
    expect(normals.length).toBeGreaterThan(0);
    for (const normal of normals) expect(normal).toEqual([0, 0, 1]);
  });
});

property.prop([fc.array(fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2)), { maxLength: 60 })])(
  "welding keeps every row and no two equal ones",
  (list) => {
    const { rows, index } = weld(Float32Array.from(list.flat()), 3);
    list.forEach((row, i) => {
      expect([...rows.subarray(3 * index[i], 3 * index[i] + 3)]).toEqual(row);
    });
    expect(rows.length / 3).toBe(new Set(list.map(String)).size);
  },
);
