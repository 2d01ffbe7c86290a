import { choleskyInPlace, choleskySolveInPlace, multiply, SymmetricEigen } from "./linear-algebra.ts";
import { rotationVectorMatrix } from "./rotation.ts";
import type { Sim } from "./sim.ts";

/** Numbers in an arm motion: translation (3), rotation vector (3). */
const MOTION = 6;
const ARM = 7;

/** What an action of ±1 asks for in one control step: metres, radians. */
const OUTPUT_SCALE = [0.05, 0.05, 0.05, 0.5, 0.5, 0.5];
/** Stiffness of the grip site's pull to its goal, 1/s², and the damping that makes it critical, 1/s. */
const KP = 150;
const KD = 2 * Math.sqrt(KP);
/** The same for the arm's pull to its home posture, in the null space of the motion. */
const NULL_KP = 10;
const NULL_KD = 2 * Math.sqrt(NULL_KP);

/** One reading of the arm: all that the control law needs of the simulator, save the bias forces. */
interface Reading {
  /** Grip site: position (3), rotation matrix (3 × 3), linear and angular velocity (3), world frame. */
  readonly position: Float64Array;
  readonly rotation: Float64Array;
  readonly linear: Float64Array;
  readonly angular: Float64Array;
  /** Site Jacobian of the arm's joints: translation, then rotation (6 × 7). */
  readonly jacobian: Float64Array;
  /** The arm's block of the inertia matrix (7 × 7). */
  readonly inertia: Float64Array;
  readonly q: Float64Array;
  readonly qd: Float64Array;
}

/**
 * Operational space control of the grip site's pose (Khatib 1987) as robosuite 1.4's OSC_POSE sets it up for LIBERO:
 * relative goals, fixed gains, position and orientation decoupled, posture kept in the null space.
 *
 *   F = kp (p* − p) − kd v        N = kp e − kd w        e = ½ Σₖ Rₖ × R*ₖ   (columns)
 *   τ = Jᵀ [Λp F; Λr N] + bias + (I − Jᵀ Λ J M⁻¹) M (10 (q₀ − q) − 2√10 q̇)
 *   Λ = (J M⁻¹ Jᵀ)⁺, Λp and Λr likewise from the rows of J for position and for orientation
 *
 * Everything is read where MuJoCo keeps it: J from the joints' motion axes, M from its sparse rows. Nothing is called
 * and nothing copied, so what crosses between JavaScript and MuJoCo in a substep is the two calls of a physics step.
 *
 * A kept quirk: the controller reads the arm once when it is built (`readHome`) and uses that reading for the first
 * substep it runs; only from the second on it looks at the arm. Without it the first step is off by 7 mm.
 */
export class OscPose {
  /** Joint torques after the last `drive`, before clipping, N m, (7). */
  readonly torque: Float64Array = new Float64Array(ARM);
  /** Where the grip site should be: position (3) and rotation matrix (3 × 3), world frame. */
  readonly goalPosition: Float64Array = new Float64Array(3);
  readonly goalRotation: Float64Array = new Float64Array(9);
  readonly reading: Reading = {
    position: new Float64Array(3),
    rotation: new Float64Array(9),
    linear: new Float64Array(3),
    angular: new Float64Array(3),
    jacobian: new Float64Array(MOTION * ARM),
    inertia: new Float64Array(ARM * ARM),
    q: new Float64Array(ARM),
    qd: new Float64Array(ARM),
  };

  readonly #sim: Sim;
  readonly #site: number;
  readonly #qpos: readonly number[];
  readonly #dof: readonly number[];
  readonly #motors: readonly number[];
  /** Lowest and highest torque of each motor, N m. */
  readonly #range: readonly Float64Array[];
  readonly #home: readonly number[];
  /** Body at the root of the arm's tree: motion axes are about the centre of mass of all that hangs on it. */
  readonly #root: number;
  /** Where the arm's block of the inertia matrix lies among MuJoCo's non-zero numbers, (7 × 7). */
  readonly #inertiaAt: readonly number[];
  #fresh = true;

  readonly #eigen3 = new SymmetricEigen(3);
  readonly #eigen6 = new SymmetricEigen(MOTION);
  readonly #factor = new Float64Array(ARM * ARM);
  readonly #minvJt = new Float64Array(ARM * MOTION);
  readonly #lambdaInverse = new Float64Array(MOTION * MOTION);
  readonly #lambda = new Float64Array(MOTION * MOTION);
  readonly #block = new Float64Array(9);
  readonly #blockInverse = new Float64Array(9);
  readonly #wrench = new Float64Array(MOTION);
  readonly #pull = new Float64Array(MOTION);
  readonly #posture = new Float64Array(ARM);
  readonly #motion = new Float64Array(MOTION);
  readonly #turn = new Float64Array(9);

  /**
   * @param joints the arm's joints from base to hand, (7).
   * @param motors the joints' torque actuators, (7).
   * @param site the controlled site.
   * @param home posture kept in the null space, radians, (7).
   */
  constructor(
    sim: Sim,
    joints: readonly string[],
    motors: readonly string[],
    site: string,
    home: readonly number[],
  ) {
    this.#sim = sim;
    this.#motors = motors.map((name) => sim.id("actuator", name));
    this.#range = this.#motors.map((id) => sim.controlRange(id));
    this.#site = sim.id("site", site);
    this.#qpos = joints.map((joint) => sim.qposAddress(joint));
    this.#dof = joints.map((joint) => sim.dofAddress(joint));
    this.#home = home;
    const { site_bodyid: bodyOfSite, body_rootid: rootOf } = sim.model;
    this.#root = rootOf[bodyOfSite[this.#site]];
    requireChain(sim, this.#dof, bodyOfSite[this.#site]);
    this.#inertiaAt = this.#dof.flatMap((i) => this.#dof.map((j) => inertiaAddress(sim, i, j)));
  }

  /** Builds the controller anew: takes the reading that the first substep will use, and its pose as the goal. */
  readHome(): void {
    this.#read();
    this.goalPosition.set(this.reading.position);
    this.goalRotation.set(this.reading.rotation);
    this.#fresh = true;
  }

  /**
   * Sets the motors' controls for one substep. Call between the halves of a physics step.
   *
   * @param action at the first substep of a control step, the action whose first six numbers move the goal;
   *   null at the others.
   */
  drive(action: ArrayLike<number> | null): void {
    // The reading of `readHome` serves the first substep.
    if (this.#fresh) this.#fresh = false;
    else this.#read();
    if (action) this.#moveGoal(action);
    this.#law();
    const { ctrl } = this.#sim.views;
    for (let j = 0; j < ARM; j++)
      ctrl[this.#motors[j]] = Math.min(Math.max(this.torque[j], this.#range[j][0]), this.#range[j][1]);
  }

  #read(): void {
    const { qpos, qvel, sitePos, siteMat, motionAxes, treeCentre, inertia: nonZero } = this.#sim.views;
    const { position, rotation, linear, angular, jacobian, inertia, q, qd } = this.reading;
    for (let i = 0; i < 3; i++) position[i] = sitePos[3 * this.#site + i];
    for (let i = 0; i < 9; i++) rotation[i] = siteMat[9 * this.#site + i];
    const x = position[0] - treeCentre[3 * this.#root];
    const y = position[1] - treeCentre[3 * this.#root + 1];
    const z = position[2] - treeCentre[3 * this.#root + 2];
    linear.fill(0);
    angular.fill(0);
    for (let j = 0; j < ARM; j++) {
      const dof = this.#dof[j];
      q[j] = qpos[this.#qpos[j]];
      qd[j] = qvel[dof];
      // A joint turns about w while the tree's centre of mass moves with v, so the site moves with v + w × (x, y, z).
      const wx = motionAxes[6 * dof];
      const wy = motionAxes[6 * dof + 1];
      const wz = motionAxes[6 * dof + 2];
      jacobian[j] = motionAxes[6 * dof + 3] + (wy * z - wz * y);
      jacobian[ARM + j] = motionAxes[6 * dof + 4] + (wz * x - wx * z);
      jacobian[2 * ARM + j] = motionAxes[6 * dof + 5] + (wx * y - wy * x);
      jacobian[3 * ARM + j] = wx;
      jacobian[4 * ARM + j] = wy;
      jacobian[5 * ARM + j] = wz;
      for (let i = 0; i < 3; i++) {
        linear[i] += jacobian[i * ARM + j] * qd[j];
        angular[i] += jacobian[(3 + i) * ARM + j] * qd[j];
      }
    }
    for (let i = 0; i < ARM * ARM; i++) inertia[i] = nonZero[this.#inertiaAt[i]];
  }

  /** p* = p + Δp. R* = Rot(Δr) R, kept as it was when Δr = 0. */
  #moveGoal(action: ArrayLike<number>): void {
    const s = this.#motion;
    for (let i = 0; i < MOTION; i++) s[i] = Math.min(Math.max(action[i], -1), 1) * OUTPUT_SCALE[i];
    for (let i = 0; i < 3; i++) this.goalPosition[i] = this.reading.position[i] + s[i];
    if (s[3] !== 0 || s[4] !== 0 || s[5] !== 0) {
      rotationVectorMatrix(this.#turn, s[3], s[4], s[5]);
      multiply(this.goalRotation, this.#turn, this.reading.rotation, 3, 3, 3);
    }
  }

  #law(): void {
    const { position, rotation, linear, angular, jacobian: J, inertia: M, q, qd } = this.reading;
    const goal = this.goalRotation;
    const wrench = this.#wrench;

    for (let i = 0; i < 3; i++) {
      const j = (i + 1) % 3;
      const k = (i + 2) % 3;
      let e = 0;
      for (let c = 0; c < 3; c++)
        e += rotation[3 * j + c] * goal[3 * k + c] - rotation[3 * k + c] * goal[3 * j + c];
      wrench[i] = KP * (this.goalPosition[i] - position[i]) - KD * linear[i];
      wrench[3 + i] = (KP * e) / 2 - KD * angular[i];
    }

    // Row k of minvJt is M⁻¹ times row k of J: M⁻¹ is never formed.
    this.#factor.set(M);
    choleskyInPlace(this.#factor, ARM);
    this.#minvJt.set(J);
    for (let k = 0; k < MOTION; k++) choleskySolveInPlace(this.#factor, this.#minvJt, ARM, k * ARM);
    for (let i = 0; i < MOTION; i++)
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let k = 0; k < ARM; k++) sum += J[i * ARM + k] * this.#minvJt[j * ARM + k];
        this.#lambdaInverse[i * MOTION + j] = this.#lambdaInverse[j * MOTION + i] = sum;
      }
    this.#eigen6.pseudoInverse(this.#lambda, this.#lambdaInverse);

    // M⁻¹ cancels in the null-space term: M a − Jᵀ Λ J a with a the posture's acceleration.
    const posture = this.#posture;
    for (let j = 0; j < ARM; j++) posture[j] = NULL_KP * (this.#home[j] - q[j]) - NULL_KD * qd[j];
    multiply(this.#motion, J, posture, MOTION, ARM, 1);
    multiply(this.#pull, this.#lambda, this.#motion, MOTION, MOTION, 1);

    for (let at = 0; at < MOTION; at += 3) {
      for (let i = 0; i < 3; i++)
        for (let j = 0; j < 3; j++) this.#block[3 * i + j] = this.#lambdaInverse[(at + i) * MOTION + at + j];
      this.#eigen3.pseudoInverse(this.#blockInverse, this.#block);
      for (let i = 0; i < 3; i++) {
        let force = 0;
        for (let j = 0; j < 3; j++) force += this.#blockInverse[3 * i + j] * wrench[at + j];
        this.#pull[at + i] = force - this.#pull[at + i];
      }
    }

    const bias = this.#sim.views.qfrcBias;
    for (let j = 0; j < ARM; j++) {
      let tau = bias[this.#dof[j]];
      for (let i = 0; i < MOTION; i++) tau += J[i * ARM + j] * this.#pull[i];
      for (let i = 0; i < ARM; i++) tau += M[j * ARM + i] * posture[i];
      this.torque[j] = tau;
    }
  }
}

/** Fails unless what moves a body is these degrees of freedom, in this order. */
function requireChain({ model }: Sim, dofs: readonly number[], body: number): void {
  const { body_dofadr: first, body_dofnum: count, body_parentid: parent, dof_parentid: before } = model;
  let carrier = body;
  while (carrier > 0 && count[carrier] === 0) carrier = parent[carrier];
  const chain: number[] = [];
  for (let dof = first[carrier] + count[carrier] - 1; dof >= 0; dof = before[dof]) chain.unshift(dof);
  if (chain.join() !== dofs.join())
    throw new Error(`OscPose: expected a site that degrees of freedom ${dofs} move, found ${chain}`);
}

/** Where MuJoCo keeps M[i][j]: row by row, without zeros, columns to the left of the diagonal. */
function inertiaAddress({ model }: Sim, i: number, j: number): number {
  const [row, column] = [Math.max(i, j), Math.min(i, j)];
  const { M_rowadr: starts, M_rownnz: counts, M_colind: columns } = model;
  const at = columns.subarray(starts[row], starts[row] + counts[row]).indexOf(column);
  if (at < 0) throw new Error(`OscPose: expected degrees of freedom ${i} and ${j} in one chain, found two`);
  return starts[row] + at;
}
