import type { Quaternion } from "../libero/compose/object.ts";

export type Vector = readonly [number, number, number];

/** The rotation by `degrees` about a unit axis, wxyz. */
export function turnAbout([x, y, z]: Vector, degrees: number): Quaternion {
  const half = (degrees * Math.PI) / 360;
  const sin = Math.sin(half);
  return [Math.cos(half), sin * x, sin * y, sin * z];
}

/** First b, then a: the product a b, wxyz. */
export function compose([aw, ax, ay, az]: Quaternion, [bw, bx, by, bz]: Quaternion): Quaternion {
  return [
    aw * bw - ax * bx - ay * by - az * bz,
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
  ];
}
