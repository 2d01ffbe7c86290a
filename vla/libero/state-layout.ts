import type { MjModel } from "./mujoco.ts";

/** Beyond it MuJoCo takes a number of the state for a simulation that blew up (`mjMAXVAL`). */
export const MOST_NUMBER = 1e10;

/** Where the numbers of an initial state are: time (1), qpos (nq), qvel (nv). */
export interface StateLayout {
  readonly nq: number;
  readonly nv: number;
  /** Where quaternions begin in qpos. */
  readonly quaternions: readonly number[];
}

/** Kinds of joints, in the order of MuJoCo's `mjtJoint`: numbers in qpos and in qvel, and where a quaternion begins. */
const JOINTS = {
  free: { nq: 7, nv: 6, quaternion: 3 },
  ball: { nq: 4, nv: 3, quaternion: 0 },
  slide: { nq: 1, nv: 1, quaternion: null },
  hinge: { nq: 1, nv: 1, quaternion: null },
} as const;
export type JointKind = keyof typeof JOINTS;

/** The layout of a state of these joints, in the model's order. */
export function layoutOf(joints: readonly JointKind[]): StateLayout {
  let [nq, nv] = [0, 0];
  const quaternions: number[] = [];
  for (const kind of joints) {
    const joint = JOINTS[kind];
    if (joint.quaternion !== null) quaternions.push(nq + joint.quaternion);
    nq += joint.nq;
    nv += joint.nv;
  }
  return { nq, nv, quaternions };
}

/** The kinds of a compiled model's joints. */
export function jointKinds(model: MjModel): JointKind[] {
  const kinds = Object.keys(JOINTS) as JointKind[];
  return Array.from(model.jnt_type as Int32Array, (type) => kinds[type]);
}

export function isJointKind(text: string): text is JointKind {
  return Object.hasOwn(JOINTS, text);
}

/** LIBERO's quaternions are of length 1 to the last digit; hand-written ones may have few digits. */
const UNIT_TOLERANCE = 0.01;

/**
 * What is wrong with an initial state. MuJoCo takes any numbers: those beyond 1e10 it replaces by its default pose at
 * the first step, a quaternion of zeros by no rotation.
 *
 * @returns null if nothing is
 */
export function stateFault(
  row: ArrayLike<number>,
  { nq, nv, quaternions }: StateLayout,
): { readonly expected: string; readonly found: string } | null {
  const width = 1 + nq + nv;
  if (row.length !== width)
    return { expected: `${width} numbers (time, qpos, qvel)`, found: `${row.length}` };
  for (let i = 0; i < width; i++)
    // Also false for NaN.
    if (!(Math.abs(row[i]) <= MOST_NUMBER))
      return {
        expected: `finite numbers, at most ${MOST_NUMBER} in size`,
        found: `${row[i]} at index ${i}`,
      };
  if (row[0] < 0) return { expected: "a time from 0 on", found: `${row[0]}` };
  for (const start of quaternions) {
    const at = 1 + start;
    const length = Math.hypot(row[at], row[at + 1], row[at + 2], row[at + 3]);
    if (Math.abs(length - 1) > UNIT_TOLERANCE)
      return { expected: `a quaternion of length 1 at index ${at}`, found: `length ${length}` };
  }
  return null;
}
