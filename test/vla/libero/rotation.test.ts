import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { matrixQuaternion, quaternionMatrix, rotationVectorMatrix } from "../../../vla/libero/rotation.ts";

const coordinate = fc.double({ min: -2, max: 2, noNaN: true });
const vector = fc.tuple(coordinate, coordinate, coordinate).filter((v) => Math.hypot(...v) > 1e-6);

/** Rodrigues' formula in doubles. */
function rodrigues([x, y, z]: [number, number, number]): number[] {
  const angle = Math.hypot(x, y, z);
  const [a, b, c] = [x / angle, y / angle, z / angle];
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const k = 1 - cos;
  return [
    cos + a * a * k,
    a * b * k - c * sin,
    a * c * k + b * sin,
    a * b * k + c * sin,
    cos + b * b * k,
    b * c * k - a * sin,
    a * c * k - b * sin,
    b * c * k + a * sin,
    cos + c * c * k,
  ];
}

describe("rotations in the reference's precision", () => {
  test.prop([vector])("a rotation vector's matrix is Rodrigues' to float32", (v) => {
    const matrix = new Float64Array(9);
    rotationVectorMatrix(matrix, ...v);
    rodrigues(v).forEach((x, i) => {
      expect(Math.abs(matrix[i] - x)).toBeLessThan(5e-7);
    });
  });

  test("a rotation vector whose length vanishes turns nothing", () => {
    for (const tiny of [0, 5e-324, -1e-200]) {
      const matrix = new Float64Array(9);
      rotationVectorMatrix(matrix, 0, 0, tiny);
      // Either sign of zero.
      expect([...matrix].map((x) => x + 0)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
    }
  });

  test.prop([vector])("off-diagonal entries are float32", (v) => {
    const matrix = new Float64Array(9);
    rotationVectorMatrix(matrix, ...v);
    for (const i of [1, 2, 3, 5, 6, 7]) expect(Math.fround(matrix[i])).toBe(matrix[i]);
  });

  test.prop([vector, coordinate])("a matrix gives its quaternion back, w ≥ 0", ([x, y, z], w) => {
    const length = Math.hypot(x, y, z, w);
    const sign = w < 0 ? -1 : 1;
    const matrix = new Float64Array(9);
    quaternionMatrix(matrix, w, x, y, z);
    const back = matrixQuaternion(matrix);
    expect(back[3]).toBeGreaterThanOrEqual(0);
    // Either sign where w vanishes.
    const expected = [x, y, z, w].map((c) => (sign * c) / length);
    const distance = (s: number) => Math.max(...back.map((c, i) => Math.abs(c - s * expected[i])));
    expect(Math.abs(w) / length < 1e-6 ? Math.min(distance(1), distance(-1)) : distance(1)).toBeLessThan(
      1e-6,
    );
  });
});
