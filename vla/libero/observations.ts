import { ARM_JOINTS, FINGER_JOINTS, GRIP_SITE, HAND_BODY } from "./robot.ts";
import { matrixQuaternion, quaternionMatrix } from "./rotation.ts";
import type { Scene } from "./scene.ts";
import type { Sim } from "./sim.ts";

/** Physics steps between two samples: 50 ms of 2 ms each. */
export const SUBSTEPS = 25;

/**
 * When observables are sampled, counted in substeps: once per period, at the first chance in it. A forced sample
 * counts one substep too, and so shifts the phase for ever: after p of them the sample falls on substep 26 − p of
 * each control step, that is 24 after a reset and an initial state.
 */
export class SamplingClock {
  #elapsed = 0;
  #sampled = false;

  reset(): void {
    this.#elapsed = 0;
    this.#sampled = false;
  }

  /** Counts one substep. @returns whether to sample now. */
  tick(force = false): boolean {
    const sample = force || !this.#sampled;
    this.#sampled = true;
    if (++this.#elapsed === SUBSTEPS) {
      this.#elapsed = 0;
      this.#sampled = false;
    }
    return sample;
  }
}

/** Everything LIBERO observes but pictures, under robosuite's names; see `Observables.read`. */
export type Readings = Readonly<Record<string, Float64Array>>;

/** Reads the observables of one scene. */
export class Observables {
  readonly #sim: Sim;
  readonly #arm: { qpos: number; dof: number }[];
  readonly #fingers: { qpos: number; dof: number }[];
  readonly #site: number;
  readonly #hand: number;
  readonly #objects: { name: string; body: number }[];
  readonly #handMat = new Float64Array(9);
  readonly #objectMat = new Float64Array(9);
  readonly #relative = new Float64Array(9);

  constructor(scene: Scene, sim: Sim) {
    const address = (joint: string) => ({ qpos: sim.qposAddress(joint), dof: sim.dofAddress(joint) });
    this.#sim = sim;
    this.#arm = ARM_JOINTS.map(address);
    this.#fingers = FINGER_JOINTS.map(address);
    this.#site = sim.id("site", GRIP_SITE);
    this.#hand = sim.id("body", HAND_BODY);
    this.#objects = scene.objects
      .filter((object) => object.kind === "object")
      .map((object) => ({ name: object.name, body: sim.id("body", object.rootBody) }));
  }

  /**
   * New arrays with the current values:
   *
   * - `robot0_joint_pos`, `_pos_cos`, `_pos_sin`, `_vel` (7), radians; `robot0_gripper_qpos`, `_qvel` (2), metres;
   * - `robot0_eef_pos` (3): the grip site; `robot0_eef_quat` (4), xyzw: the hand's body, not the site;
   * - per movable object `<name>_pos` (3) and `<name>_quat` (4), xyzw, of its root body, and the same in the frame of
   *   that end effector: `<name>_to_robot0_eef_pos`, `<name>_to_robot0_eef_quat` (w ≥ 0), to float32 precision.
   */
  read(): Readings {
    const { qpos, qvel, sitePos, bodyPos } = this.#sim.views;
    const joints = Float64Array.from(this.#arm, ({ qpos: at }) => qpos[at]);
    const position = sitePos.slice(3 * this.#site, 3 * this.#site + 3);
    const orientation = this.#quaternion(this.#hand);
    const readings: Record<string, Float64Array> = {
      robot0_joint_pos: joints,
      robot0_joint_pos_cos: joints.map(Math.cos),
      robot0_joint_pos_sin: joints.map(Math.sin),
      robot0_joint_vel: Float64Array.from(this.#arm, ({ dof }) => qvel[dof]),
      robot0_eef_pos: position,
      robot0_eef_quat: orientation,
      robot0_gripper_qpos: Float64Array.from(this.#fingers, ({ qpos: at }) => qpos[at]),
      robot0_gripper_qvel: Float64Array.from(this.#fingers, ({ dof }) => qvel[dof]),
    };
    this.#matrix(this.#handMat, orientation);
    for (const { name, body } of this.#objects) {
      const objectPosition = bodyPos.slice(3 * body, 3 * body + 3);
      const objectOrientation = this.#quaternion(body);
      readings[`${name}_pos`] = objectPosition;
      readings[`${name}_quat`] = objectOrientation;
      this.#matrix(this.#objectMat, objectOrientation);
      readings[`${name}_to_robot0_eef_pos`] = this.#relativePosition(objectPosition, position);
      readings[`${name}_to_robot0_eef_quat`] = this.#relativeQuaternion();
    }
    return readings;
  }

  /** Orientation of a body, xyzw. */
  #quaternion(body: number): Float64Array {
    const q = this.#sim.views.bodyQuat;
    return Float64Array.of(q[4 * body + 1], q[4 * body + 2], q[4 * body + 3], q[4 * body]);
  }

  /** The reference keeps these matrices in float32. */
  #matrix(out: Float64Array, [x, y, z, w]: Float64Array): void {
    quaternionMatrix(out, w, x, y, z);
    for (let i = 0; i < 9; i++) out[i] = Math.fround(out[i]);
  }

  /** Rᵀ p − Rᵀ h with h, R the hand's pose. */
  #relativePosition(position: Float64Array, hand: Float64Array): Float64Array {
    const out = new Float64Array(3);
    for (let i = 0; i < 3; i++)
      for (let k = 0; k < 3; k++)
        out[i] += this.#handMat[3 * k + i] * (Math.fround(position[k]) - Math.fround(hand[k]));
    return out;
  }

  #relativeQuaternion(): Float64Array {
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++) {
        let sum = 0;
        for (let k = 0; k < 3; k++) sum += this.#handMat[3 * k + i] * this.#objectMat[3 * k + j];
        this.#relative[3 * i + j] = sum;
      }
    return Float64Array.from(matrixQuaternion(this.#relative));
  }
}
