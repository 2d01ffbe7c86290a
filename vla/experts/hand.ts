import { Mt19937 } from "../libero/mt19937.ts";
import { FINGER_JOINTS, GRIP_SITE, HAND_BODY } from "../libero/robot.ts";
import type { Sim } from "../libero/sim.ts";
import { add, cross, distance, subtract, triple, type Vector, wrap } from "./vector.ts";

/** Translation (3), rotation vector (3), gripper; see `ActionChunk.actions`. */
export type Action = number[];

/**
 * A skill: each `yield` is one control step, and between two of them the world has moved on. So a skill reads as the
 * list of things to do, and loops and retries are ordinary loops. It ends when there is nothing left for it to do.
 */
export type Skill = Generator<Action, void, void>;
/** A skill that goes on until whoever runs the episode stops it. */
export type EndlessSkill = Generator<Action, never, void>;

/** The hand's x, y and z axes in the world frame: its fingers open along y and point along z. */
export type Axes = readonly [x: Vector, y: Vector, z: Vector];
/** How a hand is held: its angle about the vertical where it points straight down, radians, or its axes. */
export type Facing = number | Axes;

/** Commands of the gripper. */
export const OPEN = -1;
export const CLOSED = 1;

/** What an action of 1 asks for: metres, radians (OSC_POSE). */
const TRANSLATION = 0.05;
const ROTATION = 0.5;
/**
 * How much further than the goal an action asks to go. The controller stops up to 1 cm short of a goal to one side of
 * the arm, where friction and its pull to the home posture hold it; 2 keeps its motion well damped (ζ = 0.7).
 */
const GAIN = 2;

/** Fingers that close by less in a control step stand, metres: on nothing they close by 7 mm. */
const STANDING = 0.0005;

/** Spread of the expert's unsteady hand, in action units: 1.5 mm and 0.6 degrees per step. */
const TREMOR = { translation: 0.03, rotation: 0.02 };

/** The arm's end as an expert feels it: where things are, and actions that lead there. */
export class Hand {
  readonly #sim: Sim;
  readonly #site: number;
  readonly #body: number;
  readonly #random: Mt19937;
  /** Largest translation per step, in action units. */
  readonly #speed: number;

  /**
   * @param sim the simulator of the running episode, read before every action and never written.
   * @param seed varies heights, speeds and tremor: an integer in [0, 2³²).
   */
  constructor(sim: Sim, seed: number) {
    this.#sim = sim;
    this.#site = sim.id("site", GRIP_SITE);
    this.#body = sim.id("body", HAND_BODY);
    this.#random = new Mt19937(seed);
    this.#speed = this.vary(0.85, 0.1);
  }

  /** A number within `spread` of `middle`. */
  vary(middle: number, spread: number): number {
    return this.#random.uniform(middle - spread, middle + spread);
  }

  /** The grip site, world frame, metres. */
  tip(): Vector {
    return triple(this.#sim.views.sitePos, 3 * this.#site);
  }

  /** A body's origin, world frame, metres. */
  position(body: string): Vector {
    return triple(this.#sim.views.bodyPos, 3 * this.#sim.id("body", body));
  }

  /** A body's orientation in the world frame, wxyz. */
  quaternion(body: string): Float64Array {
    const at = 4 * this.#sim.id("body", body);
    return this.#sim.views.bodyQuat.subarray(at, at + 4);
  }

  /** Angle of an upright body about the vertical, radians. */
  bodyYaw(body: string): number {
    const [w, x, y, z] = this.quaternion(body);
    return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
  }

  /** Position of a joint: metres for a slide, radians for a hinge. */
  joint(name: string): number {
    return this.#sim.views.qpos[this.#sim.qposAddress(name)];
  }

  /** A point given in the frame of an upright body, in the world frame. */
  inFrame(body: string, [x, y, z]: Vector): Vector {
    const [cos, sin] = [Math.cos(this.bodyYaw(body)), Math.sin(this.bodyYaw(body))];
    return add(this.position(body), [cos * x - sin * y, sin * x + cos * y, z]);
  }

  /** A point of the world frame in the frame of an upright body. */
  intoFrame(body: string, point: Vector): Vector {
    const [cos, sin] = [Math.cos(this.bodyYaw(body)), Math.sin(this.bodyYaw(body))];
    const [x, y, z] = subtract(point, this.position(body));
    return [cos * x + sin * y, cos * y - sin * x, z];
  }

  /** The hand's angle about the vertical, radians: 0 when its camera looks from the far side of the table. */
  yaw(): number {
    const [x] = this.axes();
    return Math.atan2(x[1], x[0]);
  }

  /** How the hand is held now. */
  axes(): Axes {
    return axesOf(this.#sim.views.bodyQuat.subarray(4 * this.#body, 4 * this.#body + 4));
  }

  /** Between the fingers, metres. */
  opening(): number {
    return this.joint(FINGER_JOINTS[0]) - this.joint(FINGER_JOINTS[1]);
  }

  yawError(yaw: number): number {
    return wrap(yaw - this.yaw(), 2 * Math.PI);
  }

  /** Angle from the hand to how it should be held, radians; of a hand that points down only that about the vertical. */
  facingError(facing: Facing): number {
    return typeof facing === "number"
      ? Math.abs(this.yawError(facing))
      : Math.asin(Math.min(1, Math.hypot(...this.#rotationError(facing))));
  }

  /** The action that leads the grip site to `goal` and the hand to `facing`. */
  towards(goal: Vector, facing: Facing, grip: number): Action {
    const move = subtract(goal, this.tip()).map((d) => (GAIN * d) / TRANSLATION);
    const slow = Math.min(1, this.#speed / Math.hypot(...move));
    const axes = typeof facing === "number" ? pointingDown(facing) : facing;
    const turn = this.#rotationError(axes).map((r) => r / ROTATION);
    const clip = (value: number) => Math.min(Math.max(value, -1), 1);
    return [
      ...move.map((a) => clip(a * slow + TREMOR.translation * this.#random.gauss())),
      ...turn.map((a) => clip(a + TREMOR.rotation * this.#random.gauss())),
      grip,
    ];
  }

  /** ½ Σ hₖ × gₖ over the columns of the hand's rotation and its goal: the controller's own measure of the error. */
  #rotationError(goal: Axes): Vector {
    const crosses = this.axes().map((axis, k) => cross(axis, goal[k]));
    return [0, 1, 2].map((i) => (crosses[0][i] + crosses[1][i] + crosses[2][i]) / 2) as unknown as Vector;
  }
}

/** The axes of a hand that points straight down, turned by `yaw`. */
export function pointingDown(yaw: number): Axes {
  const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
  return [
    [cos, sin, 0],
    [sin, -cos, 0],
    [0, 0, -1],
  ];
}

/** Columns of the rotation matrix of a unit quaternion wxyz. */
export function axesOf([w, x, y, z]: ArrayLike<number> & Iterable<number>): Axes {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ];
}

/**
 * Moves the grip site to a goal that may itself move until it is near enough or `stop` says that there is no use in it;
 * gives up after 4 s.
 */
export function* reach(
  hand: Hand,
  goal: () => Vector,
  facing: Facing,
  grip: number,
  within: number,
  stop: () => boolean = () => false,
): Skill {
  for (let step = 0; step < 80 && !stop(); step++) {
    if (distance(goal(), hand.tip()) < within && hand.facingError(facing) < 0.06) return;
    yield hand.towards(goal(), facing, grip);
  }
}

/** Holds still while the gripper opens or closes. */
export function* grip(hand: Hand, command: number, steps: number, facing: Facing = hand.yaw()): Skill {
  const here = hand.tip();
  for (let step = 0; step < steps; step++) yield hand.towards(here, facing, command);
}

/** Holds still and closes the gripper until the fingers stand: on something, or on each other. */
export function* close(hand: Hand, facing: Facing = hand.yaw()): Skill {
  const here = hand.tip();
  for (let step = 0, before = Number.POSITIVE_INFINITY; step < 20; step++) {
    // The servos need some steps to set out.
    if (step > 4 && before - hand.opening() < STANDING) return;
    before = hand.opening();
    yield hand.towards(here, facing, CLOSED);
  }
}
