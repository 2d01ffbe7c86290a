import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { OscPose } from "../../../vla/libero/controller.ts";
import { Gripper } from "../../../vla/libero/gripper.ts";
import {
  ARM_JOINTS,
  ARM_MOTORS,
  FINGER_JOINTS,
  FINGER_SERVOS,
  GRIP_SITE,
} from "../../../vla/libero/robot.ts";
import { Sim } from "../../../vla/libero/sim.ts";
import { NQ, NV, TINY_SCENE } from "./tiny-scene.ts";

let sim: Sim;
let controller: OscPose;
beforeAll(async () => {
  sim = await Sim.open(TINY_SCENE, { cacheFolder: null });
  controller = new OscPose(sim, ARM_JOINTS, ARM_MOTORS, GRIP_SITE, TINY_SCENE.home.arm);
});
afterAll(() => sim[Symbol.dispose]());

/** Arm at home plus `offsets`, fingers in, everything at rest but the arm. */
function pose(offsets: readonly number[] = [], speeds: readonly number[] = []): void {
  sim.resetData();
  const { qpos, qvel } = sim.views;
  for (let j = 0; j < 7; j++) {
    qpos[j] = TINY_SCENE.home.arm[j] + (offsets[j] ?? 0);
    qvel[j] = speeds[j] ?? 0;
  }
  sim.step1();
}

/** The controller as after a reset, past the substep that uses the old reading. */
function settled(): void {
  pose();
  controller.readHome();
  controller.drive(null);
}

const seven = (limit: number) =>
  fc.array(fc.double({ min: -limit, max: limit, noNaN: true }), { minLength: 7, maxLength: 7 });

describe("OSC_POSE", () => {
  test.prop([seven(0.3), seven(0.5), seven(1)], { numRuns: 30 })(
    "is the control law, written out with explicit inverses",
    (offsets, speeds, action) => {
      settled();
      pose(offsets, speeds);
      controller.drive(action);
      const expected = law(controller);
      for (let j = 0; j < 7; j++) {
        // Relative to the largest torque: Λ grows where the arm comes near a singular posture.
        const scale = Math.max(...expected.map(Math.abs), 1);
        expect(Math.abs(controller.torque[j] - expected[j]) / scale).toBeLessThan(1e-8);
      }
    },
  );

  test.prop([seven(0.5), seven(1)], { numRuns: 30 })(
    "reads MuJoCo's own Jacobian, inertia and velocities to the last bit",
    (offsets, speeds) => {
      settled();
      pose(offsets, speeds);
      controller.drive(null);
      const { mj, model, data } = sim;
      const [jacp, jacr, full] = [3 * NV, 3 * NV, NV * NV].map((length) => new mj.DoubleBuffer(length));
      mj.mj_jacSite(model, data, jacp, jacr, sim.id("site", GRIP_SITE));
      mj.mj_fullM(model, data, full);
      const J = [...jacp.GetView(), ...jacr.GetView()];
      const M = [...full.GetView()];
      for (const buffer of [jacp, jacr, full]) buffer.delete();

      const { jacobian, inertia, linear, angular } = controller.reading;
      for (let i = 0; i < 6; i++) {
        expect([...jacobian.subarray(7 * i, 7 * i + 7)]).toEqual(J.slice(NV * i, NV * i + 7));
        const velocity = speeds.reduce((sum, speed, j) => sum + J[NV * i + j] * speed, 0);
        expect([...linear, ...angular][i]).toBe(velocity);
      }
      for (let i = 0; i < 7; i++)
        expect([...inertia.subarray(7 * i, 7 * i + 7)]).toEqual(M.slice(NV * i, NV * i + 7));
    },
  );

  test("a site that something else moves is refused", () => {
    const fingers = [...ARM_JOINTS.slice(0, 6), FINGER_JOINTS[0]];
    expect(() => new OscPose(sim, fingers, ARM_MOTORS, GRIP_SITE, TINY_SCENE.home.arm)).toThrow(
      "OscPose: expected a site that degrees of freedom 0,1,2,3,4,5,7 move, found 0,1,2,3,4,5,6",
    );
  });

  test("at home, at rest and with nothing asked, torques just carry the arm", () => {
    settled();
    pose();
    controller.drive(null);
    const bias: Float64Array = sim.data.qfrc_bias;
    expect(Math.max(...bias.slice(0, 7).map(Math.abs))).toBeGreaterThan(1);
    for (let j = 0; j < 7; j++) expect(controller.torque[j]).toBeCloseTo(bias[j], 9);
  });

  test("the first substep uses the reading taken when the controller was built", () => {
    pose();
    controller.readHome();
    const home = [...controller.reading.position];
    pose([0.3, 0.2]);
    controller.drive([1, 0, 0, 0, 0, 0, 0]);
    expect([...controller.goalPosition]).toEqual([home[0] + 0.05, home[1], home[2]]);
    expect(controller.reading.q[0]).toBe(TINY_SCENE.home.arm[0]);
    controller.drive(null);
    expect(controller.reading.q[0]).toBe(TINY_SCENE.home.arm[0] + 0.3);
  });

  test("goals are relative to where the site is, not to the old goal", () => {
    settled();
    pose([0.1]);
    for (let i = 0; i < 3; i++) controller.drive([1, 1, 1, 0, 0, 0, 0]);
    for (let i = 0; i < 3; i++)
      expect(controller.goalPosition[i]).toBe(controller.reading.position[i] + 0.05);
  });

  test("without a rotation the goal orientation stays, with one it turns the current orientation", () => {
    settled();
    const home = [...controller.goalRotation];
    pose([0.2, 0.1]);
    controller.drive([0.3, 0, 0, 0, 0, 0, 0]);
    expect([...controller.goalRotation]).toEqual(home);

    const quarter = Math.PI / 4;
    controller.drive([0, 0, 0, 0, 0, quarter / 0.5, 0]); // clipped to 0.5 rad about z
    const r = controller.reading.rotation;
    const [c, s] = [Math.cos(0.5), Math.sin(0.5)];
    for (let column = 0; column < 3; column++) {
      expect(controller.goalRotation[column]).toBeCloseTo(c * r[column] - s * r[3 + column], 6);
      expect(controller.goalRotation[3 + column]).toBeCloseTo(s * r[column] + c * r[3 + column], 6);
      expect(controller.goalRotation[6 + column]).toBeCloseTo(r[6 + column], 6);
    }
  });

  test.prop([seven(8)])("actions beyond ±1 count as ±1", (action) => {
    const goals = [action, action.map((x) => Math.min(1, Math.max(-1, x)))].map((a) => {
      settled();
      controller.drive(a);
      return [...controller.goalPosition, ...controller.goalRotation];
    });
    expect(goals[0]).toEqual(goals[1]);
  });

  test("controls stay within the motors' ranges", () => {
    settled();
    pose([2, 1, 1, 1, 1, 1, 1], [50, -50, 50, -50, 50, -50, 50]);
    controller.drive([1, -1, 1, 1, -1, 1, 0]);
    expect(Math.max(...controller.torque.map(Math.abs))).toBeGreaterThan(80);
    for (let j = 0; j < 7; j++)
      expect(sim.views.ctrl[j]).toBe(Math.min(80, Math.max(-80, controller.torque[j])));
  });

  test("a goal is reached and held", () => {
    settled();
    pose();
    controller.drive([0.6, -0.4, -0.5, 0, 0, 0.4, 0]);
    for (let substep = 0; substep < 1000; substep++) {
      sim.step2();
      sim.step1();
      controller.drive(null);
    }
    for (let i = 0; i < 3; i++)
      // Joint friction is not compensated: it stops the arm a little before its goal.
      expect(Math.abs(controller.reading.position[i] - controller.goalPosition[i])).toBeLessThan(5e-3);
    expect(Math.max(...controller.reading.linear.map(Math.abs))).toBeLessThan(1e-2);
  });
});

describe("Gripper", () => {
  test("moves its target by 0.01 per substep, whatever the size of the command, up to the ends", () => {
    sim.resetData();
    const gripper = new Gripper(sim, FINGER_SERVOS);
    for (const [command, target] of [
      [0, 0],
      [0.2, 0.01],
      [1, 0.02],
      [0, 0.02],
      [-5, 0.01],
    ]) {
      gripper.drive(command);
      expect(gripper.target[0]).toBeCloseTo(-target, 12);
      expect(gripper.target[1]).toBeCloseTo(target, 12);
    }
    for (let substep = 0; substep < 150; substep++) gripper.drive(-1);
    // Open: the first finger at +0.04, the second at −0.04.
    expect([...sim.views.ctrl.slice(7, 9)]).toEqual([0.04, -0.04]);
    for (let substep = 0; substep < 250; substep++) gripper.drive(1);
    expect([...sim.views.ctrl.slice(7, 9)]).toEqual([0, 0]);
    gripper.reset();
    gripper.drive(0);
    expect([...sim.views.ctrl.slice(7, 9)]).toEqual([0.02, -0.02]);
  });

  test("fingers follow", () => {
    pose();
    const gripper = new Gripper(sim, FINGER_SERVOS);
    for (let substep = 0; substep < 600; substep++) {
      gripper.drive(-1);
      sim.step1();
      sim.step2();
    }
    const [first, second] = FINGER_JOINTS.map((joint) => sim.views.qpos[sim.qposAddress(joint)]);
    expect(first).toBeCloseTo(0.04, 3);
    expect(second).toBeCloseTo(-0.04, 3);
  });
});

test("the tiny scene has the sizes its helper says", () => {
  expect([sim.nq, sim.nv]).toEqual([NQ, NV]);
});

// ------------------------------------------------------------------------------ the law, plainly: rows of matrices

type Matrix = number[][];

const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
const plus = (a: Matrix, b: Matrix, sign = 1): Matrix =>
  a.map((row, i) => row.map((x, j) => x + sign * b[i][j]));
const transposed = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));
const rows = (a: Float64Array, width: number): Matrix =>
  Array.from({ length: a.length / width }, (_, i) => [...a.slice(i * width, (i + 1) * width)]);
const column = (a: ArrayLike<number>): Matrix => Array.from(a, (x) => [x]);

/** Gauss and Jordan, with row exchanges. */
function inverse(a: Matrix): Matrix {
  const n = a.length;
  const m = a.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let p = 0; p < n; p++) {
    const best = m.reduce((b, row, i) => (i >= p && Math.abs(row[p]) > Math.abs(m[b][p]) ? i : b), p);
    [m[p], m[best]] = [m[best], m[p]];
    m[p] = m[p].map((x) => x / m[p][p]);
    for (let i = 0; i < n; i++) if (i !== p) m[i] = m[i].map((x, j) => x - m[i][p] * m[p][j]);
  }
  return m.map((row) => row.slice(n));
}

function law({ reading, goalPosition, goalRotation }: OscPose): number[] {
  const J = rows(reading.jacobian, 7);
  const M = rows(reading.inertia, 7);
  const R = transposed(rows(reading.rotation, 3));
  const G = transposed(rows(goalRotation, 3));
  const kd = 2 * Math.sqrt(150);
  const force = [0, 1, 2].map((i) => 150 * (goalPosition[i] - reading.position[i]) - kd * reading.linear[i]);
  const error = R.map((r, k) => cross(r, G[k])).reduce((a, b) => a.map((x, i) => x + b[i]));
  const torque = error.map((e, i) => 150 * 0.5 * e - kd * reading.angular[i]);

  const lambda = (j: Matrix) => inverse(times(times(j, inverse(M)), transposed(j)));
  const [jp, jr] = [J.slice(0, 3), J.slice(3)];
  const wrench = [...times(lambda(jp), column(force)), ...times(lambda(jr), column(torque))];
  const nullSpace = plus(identity(7), times(times(inverse(M), transposed(J)), times(lambda(J), J)), -1);
  const posture = Array.from(
    reading.q,
    (q, j) => 10 * (TINY_SCENE.home.arm[j] - q) - 2 * Math.sqrt(10) * reading.qd[j],
  );
  const bias: Float64Array = sim.data.qfrc_bias;
  const tau = plus(
    plus(times(transposed(J), wrench), column(bias.slice(0, 7))),
    times(transposed(nullSpace), times(M, column(posture))),
  );
  return tau.map(([x]) => x);
}

function identity(n: number): Matrix {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
}

function cross([a, b, c]: number[], [x, y, z]: number[]): number[] {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}
