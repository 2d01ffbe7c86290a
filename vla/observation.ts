import type { NdArray } from "ndarray";

/** A camera picture: uint8 RGB in [0, 255], shape (H, W, 3), row-major and contiguous unless a view says otherwise. */
export type Image = NdArray<Uint8Array>;

/**
 * What a policy sees: one sample of the LIBERO observation, under robosuite's key names.
 *
 * Images keep LIBERO's convention: row 0 is the BOTTOM row of the picture, as the demonstrations store them.
 * Further keys (object poses and the like) are kept by the environment and are not for policies.
 */
export interface Observation {
  /** The camera in front of the robot, (H, W, 3). */
  readonly agentview_image: Image;
  /** The camera on the wrist, (H, W, 3). */
  readonly robot0_eye_in_hand_image: Image;
  /** Arm joint angles, radians, (7). */
  readonly robot0_joint_pos: Float64Array;
  /** Grip-site position in the world frame, metres, (3). */
  readonly robot0_eef_pos: Float64Array;
  /** Hand orientation in the world frame, quaternion xyzw, (4). */
  readonly robot0_eef_quat: Float64Array;
  /** Finger positions, metres, (2). */
  readonly robot0_gripper_qpos: Float64Array;
}
