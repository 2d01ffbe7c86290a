import { type Quaternion, rotate } from "../libero/compose/object.ts";
import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";
import { sign, unitVector } from "./draws.ts";
import { compose, turnAbout, type Vector } from "./quaternion.ts";

/**
 * A camera of the model: metres, wxyz of length 1 (it looks along its −z, its y is up), vertical field of view in
 * degrees.
 */
export interface CameraPose {
  readonly pos: Vector;
  readonly quat: Quaternion;
  readonly fovy: number;
}

/**
 * Per level. LIBERO-plus swings by any angle about the vertical, up to 15 degrees upwards, and doubles the distance.
 */
const SWING = 5;
const DISTANCE = 0.05;
const TURN = 1;
const FIELD = 0.04;

/** How a camera was changed. */
export interface CameraChange {
  /** Along a sphere about the middle of what it sees, the view staying on it, degrees. */
  readonly swing: number;
  /** Its distance from there, as a factor. */
  readonly distance: number;
  /** Away from there, about an axis of its own, degrees. */
  readonly turn: number;
  /** Its field of view, as a factor. */
  readonly field: number;
}

/** Hangs a camera elsewhere: by 5 degrees, 5 % of the distance, 1 degree off and 4 % of the field of view per level. */
export function perturbCamera(
  camera: CameraPose,
  height: number,
  level: Level,
  draws: Mt19937,
): { readonly camera: CameraPose; readonly change: CameraChange } {
  const angle = draws.uniform(0, 2 * Math.PI);
  const change = {
    swing: SWING * level,
    distance: 1 + DISTANCE * level * sign(draws),
    turn: TURN * level,
    field: 1 + FIELD * level * sign(draws),
  };
  const turnAxis = unitVector(draws, 3) as unknown as Vector;

  const pivot = pivotOf(camera, height);
  const swing = turnAbout(rotate(camera.quat, [Math.cos(angle), Math.sin(angle), 0]), change.swing);
  const arm = rotate(swing, camera.pos.map((p, k) => p - pivot[k]) as unknown as Vector);
  return {
    camera: {
      pos: pivot.map((p, k) => p + change.distance * arm[k]) as unknown as Vector,
      // The turn is in the camera's own frame, the swing in the world's.
      quat: compose(compose(swing, camera.quat), turnAbout(turnAxis, change.turn)),
      fovy: camera.fovy * change.field,
    },
    change,
  };
}

/** Where its axis meets the workspace, at `height`; a metre ahead of a camera that does not look down. */
export function pivotOf({ pos, quat }: CameraPose, height: number): Vector {
  const ahead = rotate(quat, [0, 0, -1]);
  const way = ahead[2] < 0 && pos[2] > height ? (height - pos[2]) / ahead[2] : 1;
  return pos.map((p, k) => p + way * ahead[k]) as unknown as Vector;
}
