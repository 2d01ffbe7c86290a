import type { View } from "./camera.ts";
import {
  BOUND_STRIDE,
  BOX_CENTRE,
  BOX_HALF,
  BOX_RADIUS,
  type Clusters,
  CONE_AXIS,
  CONE_COSINE,
  CONE_LOW,
  CONE_SINE,
} from "./clusters.ts";
import type { Part } from "./drawable.ts";

const PLANES = 6;
/** Share by which bounds are widened: far above what rounding does to them, far below what costs anything. */
const SLACK = 1e-6;

/** Tells which clusters of a part cannot be seen. It works in the part's own frame, where the bounds are. */
export class Culler {
  /** What bounds the view, (PLANES, 4): a point is inside where a x + b y + c z + d ≥ 0 for all. */
  readonly #planes = new Float64Array(4 * PLANES);
  readonly #eye = new Float64Array(3);

  /** Takes up a part, seen through a rectangle of pixels of the view. */
  aim(part: Part, view: View, left: number, right: number, bottom: number, top: number): void {
    const { eye, near, far, scaleX, scaleY, shiftX, shiftY } = view;
    this.#plane(0, part, eye, view.forward, 1, view.right, 0, -near);
    this.#plane(1, part, eye, view.forward, -1, view.right, 0, far);
    this.#plane(2, part, eye, view.forward, (right - shiftX) / scaleX, view.right, -1, 0);
    this.#plane(3, part, eye, view.forward, (shiftX - left) / scaleX, view.right, 1, 0);
    this.#plane(4, part, eye, view.forward, (top - shiftY) / scaleY, view.up, -1, 0);
    this.#plane(5, part, eye, view.forward, (shiftY - bottom) / scaleY, view.up, 1, 0);
    const { world: w, scale, owner } = part;
    const r = owner.rotation;
    const x = eye[0] - w[3];
    const y = eye[1] - w[7];
    const z = eye[2] - w[11];
    for (let k = 0; k < 3; k++) this.#eye[k] = (r[k] * x + r[3 + k] * y + r[6 + k] * z) / scale[k];
  }

  /**
   * The plane a · p + d ≥ 0 of the world with a = forward · ahead + side · aside, d against the eye, in the part's
   * frame.
   */
  #plane(
    index: number,
    part: Part,
    eye: Float64Array,
    forward: Float64Array,
    ahead: number,
    side: Float64Array,
    aside: number,
    offset: number,
  ): void {
    const { world: w } = part;
    const at = 4 * index;
    const a = ahead * forward[0] + aside * side[0];
    const b = ahead * forward[1] + aside * side[1];
    const c = ahead * forward[2] + aside * side[2];
    for (let k = 0; k < 3; k++) this.#planes[at + k] = a * w[k] + b * w[4 + k] + c * w[8 + k];
    this.#planes[at + 3] = a * (w[3] - eye[0]) + b * (w[7] - eye[1]) + c * (w[11] - eye[2]) + offset;
  }

  /** Is all of a cluster outside of the view? May say no to one just outside. */
  isOutside({ bounds }: Clusters, cluster: number): boolean {
    const planes = this.#planes;
    const at = BOUND_STRIDE * cluster;
    const x = bounds[at + BOX_CENTRE];
    const y = bounds[at + BOX_CENTRE + 1];
    const z = bounds[at + BOX_CENTRE + 2];
    const hx = bounds[at + BOX_HALF];
    const hy = bounds[at + BOX_HALF + 1];
    const hz = bounds[at + BOX_HALF + 2];
    for (let p = 0; p < 4 * PLANES; p += 4) {
      const a = planes[p];
      const b = planes[p + 1];
      const c = planes[p + 2];
      const d = planes[p + 3];
      const reach = Math.abs(a) * hx + Math.abs(b) * hy + Math.abs(c) * hz;
      if (a * x + b * y + c * z + d < -reach - SLACK * (reach + Math.abs(d))) return true;
    }
    return false;
  }

  /**
   * Does all of a cluster show its back? With p a point and n a normal it does where (p - eye) · n ≥ 0 for all; n leans
   * from the cone's axis by at most its half angle θ, so the least is cos θ · (height over the eye) - sin θ · (distance
   * from the axis through the eye). May say no to one that just does.
   */
  isTurnedAway({ bounds }: Clusters, cluster: number): boolean {
    const at = BOUND_STRIDE * cluster;
    const cosine = bounds[at + CONE_COSINE];
    if (cosine <= 0) return false;
    const ax = bounds[at + CONE_AXIS];
    const ay = bounds[at + CONE_AXIS + 1];
    const az = bounds[at + CONE_AXIS + 2];
    const eye = this.#eye;
    const height = bounds[at + CONE_LOW] - (ax * eye[0] + ay * eye[1] + az * eye[2]);
    if (!(height > 0)) return false;
    const dx = bounds[at + BOX_CENTRE] - eye[0];
    const dy = bounds[at + BOX_CENTRE + 1] - eye[1];
    const dz = bounds[at + BOX_CENTRE + 2] - eye[2];
    const along = dx * ax + dy * ay + dz * az;
    const square = dx * dx + dy * dy + dz * dz;
    const aside = Math.sqrt(Math.max(0, square - along * along)) + bounds[at + BOX_RADIUS];
    return (
      cosine * height - bounds[at + CONE_SINE] * aside > SLACK * (Math.sqrt(square) + bounds[at + BOX_RADIUS])
    );
  }
}
