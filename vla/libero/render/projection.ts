import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import { cameraNames, type Frustum, frustumOf, View } from "./camera.ts";

/**
 * Where points of the world land in a camera's square picture, as the renderer draws it. Coordinates are shares of the
 * picture's side, so they hold for every size: (0, 0) is the outer corner of the bottom left pixel, (1, 1) that of the
 * top right one. In a picture of side N the point (u, v) lies on column ⌊N u⌋ of row ⌊N v⌋, row 0 at the BOTTOM.
 */
export class Projection {
  readonly #camera: number;
  readonly #frustum: Frustum;
  readonly #view = new View(1, 1);

  /** @throws Error for a camera that the model lacks. */
  constructor(mj: MainModule, model: MjModel, camera: string) {
    const id = cameraNames(mj, model).get(camera);
    if (id === undefined) throw new Error(`Projection: expected a camera of the model, found "${camera}"`);
    this.#camera = id;
    this.#frustum = frustumOf(model, id);
  }

  /** Takes over where the camera is: what `mj_camlight` left in the data. */
  look(data: MjData): void {
    this.#view.set(data, this.#camera, this.#frustum);
  }

  /**
   * Share of the side to the right and upwards; outside of 0 to 1 for a point beside the picture, null behind the
   * camera.
   */
  project([x, y, z]: readonly [number, number, number]): [u: number, v: number] | null {
    const { eye, right, up, forward, near, scaleX, scaleY, shiftX, shiftY } = this.#view;
    const offset = [x - eye[0], y - eye[1], z - eye[2]];
    const along = (axis: Float64Array): number =>
      axis[0] * offset[0] + axis[1] * offset[1] + axis[2] * offset[2];
    const depth = along(forward);
    if (depth < near) return null;
    return [(scaleX * along(right)) / depth + shiftX, (scaleY * along(up)) / depth + shiftY];
  }
}
