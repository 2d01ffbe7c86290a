/**
 * How hard boxes push boxes.
 *
 * - `mujoco-2.3`: as in the MuJoCo of LIBERO's authors, whose collider reported half the depth of overlapping boxes.
 *   LIBERO's initial states are not settled, and without this 21 of its 130 tasks start with objects thrown about.
 * - `native`: as the engine computes them.
 */
export type Contacts = "mujoco-2.3" | "native";
