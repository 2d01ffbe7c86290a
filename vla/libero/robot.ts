/** The Panda arm and its gripper as robosuite names them in every scene. */

export const ARM_JOINTS: readonly string[] = [1, 2, 3, 4, 5, 6, 7].map((i) => `robot0_joint${i}`);
export const ARM_MOTORS: readonly string[] = [1, 2, 3, 4, 5, 6, 7].map((i) => `robot0_torq_j${i}`);
export const FINGER_JOINTS: readonly string[] = ["gripper0_finger_joint1", "gripper0_finger_joint2"];
export const FINGER_SERVOS: readonly string[] = [
  "gripper0_gripper_finger_joint1",
  "gripper0_gripper_finger_joint2",
];
/** Where the fingers meet: the point that actions move. */
export const GRIP_SITE = "gripper0_grip_site";
/** The body whose orientation is observed. */
export const HAND_BODY = "robot0_right_hand";
/** The camera on the hand; the other observed one, `agentview`, belongs to the workspace. */
export const WRIST_CAMERA = "robot0_eye_in_hand";
/** What robosuite prefixes the gripper's sites with. */
export const GRIPPER_PREFIX = "gripper0_";
