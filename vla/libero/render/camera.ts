import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import { WORLD } from "./drawable.ts";
import type { Snapshot } from "./snapshot.ts";

/** The part of a camera that never changes: its frustum at the near plane, metres. */
export interface Frustum {
  readonly near: number;
  readonly far: number;
  readonly top: number;
  readonly bottom: number;
  /** Horizontal centre and half width; half width 0 means "from the picture's aspect ratio". */
  readonly center: number;
  readonly halfWidth: number;
}

/** Name → index of every camera; unnamed cameras cannot be asked for. */
export function cameraNames(mj: MainModule, model: MjModel): Map<string, number> {
  const names = new Map<string, number>();
  for (let id = 0; id < model.ncam; id++) {
    const name = mj.mj_id2name(model, mj.mjtObj.mjOBJ_CAMERA.value, id);
    if (name) names.set(name, id);
  }
  return names;
}

/** `mjCAMLIGHT_FIXED`: the camera keeps its pose in the frame of its body. */
const MODE_FIXED = 0;

/** Does the camera stay where it is, whatever the state? */
export function isFixedCamera(model: MjModel, camera: number): boolean {
  return model.cam_mode[camera] === MODE_FIXED && model.body_weldid[model.cam_bodyid[camera]] === WORLD;
}

/** Frustum of a camera, from its field of view or, where a sensor size is given, its intrinsics. */
export function frustumOf(model: MjModel, camera: number): Frustum {
  const extent: number = model.stat.extent;
  const near: number = model.vis.map.znear * extent;
  const far: number = model.vis.map.zfar * extent;
  if (model.cam_projection[camera] !== 0) {
    throw new Error(
      `createRenderer: expected perspective cameras, found an orthographic one (camera ${camera})`,
    );
  }
  const [sensorWidth, sensorHeight] = model.cam_sensorsize.subarray(2 * camera, 2 * camera + 2);
  if (sensorHeight > 0) {
    const [fx, fy, cx, cy] = model.cam_intrinsic.subarray(4 * camera, 4 * camera + 4); // metres on the sensor
    const left = (near / fx) * (sensorWidth / 2 - cx);
    const right = (near / fx) * (sensorWidth / 2 + cx);
    return {
      near,
      far,
      bottom: (-near / fy) * (sensorHeight / 2 + cy),
      top: (near / fy) * (sensorHeight / 2 - cy),
      center: (right - left) / 2,
      halfWidth: (right + left) / 2,
    };
  }
  const top = near * Math.tan((model.cam_fovy[camera] * Math.PI) / 360);
  return { near, far, top, bottom: -top, center: 0, halfWidth: 0 };
}

/**
 * A camera set up for one picture. A point at offset d from the eye has depth z = forward·d and lands on pixel
 * (scaleX · right·d / z + shiftX, scaleY · up·d / z + shiftY), y upwards from the bottom row.
 */
export class View {
  readonly eye = new Float64Array(3);
  readonly right = new Float64Array(3);
  readonly up = new Float64Array(3);
  readonly forward = new Float64Array(3);
  readonly width: number;
  readonly height: number;
  /** The view was reflected: front faces turn clockwise. */
  mirrored = false;
  near = 0;
  far = 0;
  scaleX = 0;
  scaleY = 0;
  shiftX = 0;
  shiftY = 0;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
  }

  /** Looks through a camera of the model as it stands in `data`. */
  set(data: MjData, camera: number, frustum: Frustum): void {
    const { near, far, top, bottom, center } = frustum;
    const position: Float64Array = data.cam_xpos;
    const axes: Float64Array = data.cam_xmat; // columns: right, up, backwards
    for (let k = 0; k < 3; k++) {
      this.eye[k] = position[3 * camera + k];
      this.right[k] = axes[9 * camera + 3 * k];
      this.up[k] = axes[9 * camera + 3 * k + 1];
      this.forward[k] = -axes[9 * camera + 3 * k + 2];
    }
    const halfWidth = frustum.halfWidth || (0.5 * this.width * (top - bottom)) / this.height;
    this.mirrored = false;
    this.near = near;
    this.far = far;
    this.scaleX = (near * this.width) / (2 * halfWidth);
    this.scaleY = (near * this.height) / (top - bottom);
    this.shiftX = this.width / 2 - (center * this.width) / (2 * halfWidth);
    this.shiftY = (-bottom * this.height) / (top - bottom);
  }

  /** Adds all that decides where things are seen to a snapshot. */
  describe(snapshot: Snapshot): void {
    snapshot.addAll(this.eye);
    snapshot.addAll(this.right);
    snapshot.addAll(this.up);
    snapshot.addAll(this.forward);
    snapshot.add(this.mirrored ? 1 : 0);
    snapshot.add(this.near);
    snapshot.add(this.far);
    snapshot.add(this.scaleX);
    snapshot.add(this.scaleY);
    snapshot.add(this.shiftX);
    snapshot.add(this.shiftY);
  }

  /** Moves the picture by a part of a pixel to the right and up. */
  shift(x: number, y: number): void {
    this.shiftX += x;
    this.shiftY += y;
  }

  /** Becomes the reflection of another view in the plane through `point` with unit normal `normal`. */
  reflect(view: View, point: Float64Array, normal: Float64Array): void {
    this.mirrored = !view.mirrored;
    this.near = view.near;
    this.far = view.far;
    this.scaleX = view.scaleX;
    this.scaleY = view.scaleY;
    this.shiftX = view.shiftX;
    this.shiftY = view.shiftY;
    const distance =
      (view.eye[0] - point[0]) * normal[0] +
      (view.eye[1] - point[1]) * normal[1] +
      (view.eye[2] - point[2]) * normal[2];
    for (let k = 0; k < 3; k++) this.eye[k] = view.eye[k] - 2 * distance * normal[k];
    reflectVector(view.right, normal, this.right);
    reflectVector(view.up, normal, this.up);
    reflectVector(view.forward, normal, this.forward);
  }

  /** Can a sphere (world centre, radius) touch this rectangle of pixels? May say yes to one just outside. */
  sees(
    x: number,
    y: number,
    z: number,
    radius: number,
    left: number,
    right: number,
    bottom: number,
    top: number,
  ): boolean {
    const dx = x - this.eye[0];
    const dy = y - this.eye[1];
    const dz = z - this.eye[2];
    const depth = this.forward[0] * dx + this.forward[1] * dy + this.forward[2] * dz;
    if (depth < this.near - radius || depth > this.far + radius) return false;
    const across = this.right[0] * dx + this.right[1] * dy + this.right[2] * dz;
    const along = this.up[0] * dx + this.up[1] * dy + this.up[2] * dz;
    return (
      beyond(across, depth, (right - this.shiftX) / this.scaleX) <= radius &&
      beyond(-across, depth, (this.shiftX - left) / this.scaleX) <= radius &&
      beyond(along, depth, (top - this.shiftY) / this.scaleY) <= radius &&
      beyond(-along, depth, (this.shiftY - bottom) / this.scaleY) <= radius
    );
  }
}

/** Distance of a point from the plane through the eye that leans outwards by `slope`, positive outside. */
function beyond(offset: number, depth: number, slope: number): number {
  return (offset - slope * depth) / Math.sqrt(1 + slope * slope);
}

function reflectVector(v: Float64Array, normal: Float64Array, out: Float64Array): void {
  const twice = 2 * (v[0] * normal[0] + v[1] * normal[1] + v[2] * normal[2]);
  for (let k = 0; k < 3; k++) out[k] = v[k] - twice * normal[k];
}
