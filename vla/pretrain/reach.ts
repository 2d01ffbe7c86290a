import type { LiberoEnv } from "../libero/env.ts";
import { choleskyInPlace, choleskySolveInPlace, multiply } from "../libero/linear-algebra.ts";
import { ARM_JOINTS } from "../libero/robot.ts";
import { rotationVectorMatrix } from "../libero/rotation.ts";

/** Where the grip site should be: world frame, metres. */
export interface HandPose {
  readonly position: readonly [number, number, number];
  /**
   * How it is turned from where it points at the home posture, straight down: a rotation vector, world frame, radians.
   */
  readonly turn: readonly [number, number, number];
}

const STEPS = 30;
/** Metres and radians together. */
const NEAR = 1e-3;
/** Keeps steps short where the arm is stretched out. */
const DAMPING = 1e-3;
const [MOTION, ARM] = [6, 7];

/**
 * Sets the arm's joints in the simulator so that the hand is near a pose: damped least squares,
 * dq = Jᵀ (J Jᵀ + λ I)⁻¹ e, from where the joints are (Wampler 1986).
 *
 * @param home the grip site's rotation at the home posture, (3 × 3).
 * @returns whether it came there.
 */
export function reach(
  { sim, controller }: LiberoEnv,
  home: Float64Array,
  { position, turn }: HandPose,
): boolean {
  const goal = new Float64Array(9);
  const rotation = new Float64Array(9);
  rotationVectorMatrix(rotation, ...turn);
  multiply(goal, rotation, home, 3, 3, 3);
  const addresses = ARM_JOINTS.map((joint) => sim.qposAddress(joint));
  const JJt = new Float64Array(MOTION * MOTION);
  for (let step = 0; step < STEPS; step++) {
    sim.computePoses();
    controller.readHome();
    const { position: at, rotation: R, jacobian: J } = controller.reading;
    const error = new Float64Array(MOTION);
    for (let i = 0; i < 3; i++) {
      const [j, k] = [(i + 1) % 3, (i + 2) % 3];
      error[i] = position[i] - at[i];
      for (let c = 0; c < 3; c++)
        error[3 + i] += (R[3 * j + c] * goal[3 * k + c] - R[3 * k + c] * goal[3 * j + c]) / 2;
    }
    if (Math.hypot(...error) < NEAR) return true;
    for (let i = 0; i < MOTION; i++)
      for (let j = 0; j < MOTION; j++) {
        let sum = i === j ? DAMPING : 0;
        for (let k = 0; k < ARM; k++) sum += J[i * ARM + k] * J[j * ARM + k];
        JJt[i * MOTION + j] = sum;
      }
    choleskyInPlace(JJt, MOTION);
    choleskySolveInPlace(JJt, error, MOTION);
    const { qpos } = sim.views;
    addresses.forEach((address, k) => {
      for (let i = 0; i < MOTION; i++) qpos[address] += J[i * ARM + k] * error[i];
    });
  }
  return false;
}
