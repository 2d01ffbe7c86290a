import type { Point } from "./messages.ts";

export type Vector = readonly [x: number, y: number, z: number];

/** A pinhole camera that looks at a square picture. */
export interface Camera {
  /** World frame, metres. */
  readonly eye: Vector;
  /** Row-major rotation: its columns point to the right, up, and backwards, as MuJoCo's do. */
  readonly axes: ArrayLike<number>;
  /** Angle between its upper and lower edge, degrees. */
  readonly fovy: number;
}

const column = ({ axes }: Camera, i: number): Vector => [axes[i], axes[3 + i], axes[6 + i]];
const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const halfHeight = ({ fovy }: Camera): number => Math.tan((fovy * Math.PI) / 360);

/** Where a point of the world is on the picture; null behind the camera. */
export function project(camera: Camera, point: Vector): Point | null {
  const away = point.map((value, i) => value - camera.eye[i]) as unknown as Vector;
  const depth = -dot(away, column(camera, 2));
  if (depth <= 0) return null;
  const scale = 2 * depth * halfHeight(camera);
  return [0.5 + dot(away, column(camera, 0)) / scale, 0.5 - dot(away, column(camera, 1)) / scale];
}

/** The point at that height which is seen at a place of the picture; null where the eye sees no such point. */
export function onPlane(camera: Camera, [x, y]: Point, height: number): Vector | null {
  const [right, up, back] = [0, 1, 2].map((i) => column(camera, i));
  const half = halfHeight(camera);
  const [a, b] = [(2 * x - 1) * half, (1 - 2 * y) * half];
  const ray = [0, 1, 2].map((i) => a * right[i] + b * up[i] - back[i]);
  const far = (height - camera.eye[2]) / ray[2];
  if (!(far > 0 && far < Infinity)) return null;
  return camera.eye.map((value, i) => value + far * ray[i]) as unknown as Vector;
}
