/**
 * A scripted expert for the tasks of the embedded suite. It looks at the simulator's true poses and speaks through
 * the same seven action numbers as any policy, so its episodes can be recorded as demonstrations.
 *
 * A skill is a generator: each `yield` is one control step, and between two of them the world has moved on. So a
 * skill reads as the list of things to do, and loops and retries are ordinary loops. Skills never end; whoever runs
 * the episode stops at success.
 */
import { Mt19937 } from "../../libero/mt19937.ts";
import { FINGER_JOINTS, GRIP_SITE, HAND_BODY } from "../../libero/robot.ts";
import type { Sim } from "../../libero/sim.ts";

type Vector = readonly [x: number, y: number, z: number];
/** Translation (3), rotation vector (3), gripper; see `Plan.actions`. */
export type Action = number[];
type Skill = Generator<Action, never, void>;

/** What an action of 1 asks for: metres, radians (OSC_POSE). */
const TRANSLATION = 0.05;
const ROTATION = 0.5;
/**
 * How much further than the goal an action asks to go. The controller stops up to 1 cm short of a goal to one side of
 * the arm, where friction and its pull to the home posture hold it; 2 keeps its motion well damped (ζ = 0.7).
 */
const GAIN = 2;
/** Fingers about a block of 4 cm are at most so far apart, metres; open ones 8 cm. */
const HELD_OPENING = 0.06;
const OPEN = -1;
const CLOSED = 1;

/** Spread of the expert's unsteady hand, in action units: 1.5 mm and 0.6 degrees per step. */
const TREMOR = { translation: 0.03, rotation: 0.02 };

/** Somewhere to set a block down, in the frame of an upright body, metres. */
interface Place {
  readonly body: string;
  /** Where the middle of the block is let go. */
  readonly spot: Vector;
  /** A block is in its place when its middle is at most this far from the body's axis, along the body's x and y. */
  readonly room: readonly [x: number, y: number];
}

const RED = "red_block_1_main";
const GREEN = "green_block_1_main";
const BLUE = "blue_block_1_main";

const onPlate = (number: 1 | 2): Place => ({
  body: `white_plate_${number}_main`,
  spot: [0, 0, 0.036],
  room: [0.025, 0.025],
});
/** Two blocks lie one before the other: the fingers open to the sides. */
const inTray = (x = 0): Place => ({
  body: "shallow_tray_1_main",
  spot: [x, 0, 0.036],
  room: [0.07, 0.09],
});
const onBlock = (block: string): Place => ({ body: block, spot: [0, 0, 0.045], room: [0.02, 0.02] });

const DRAWER = "small_cabinet_1_drawer";
const SLIDE = "small_cabinet_1_slide";

/** What to do for each task, by the name of its file. */
const SKILLS: Readonly<Record<string, (hand: Hand) => Skill>> = {
  BLOCKS_SCENE1_put_the_red_block_on_the_plate: (hand) => put(hand, [RED, onPlate(1)]),
  BLOCKS_SCENE1_put_the_blue_block_on_the_plate: (hand) => put(hand, [BLUE, onPlate(1)]),
  BLOCKS_SCENE1_put_the_green_block_into_the_tray: (hand) => put(hand, [GREEN, inTray()]),
  BLOCKS_SCENE1_put_the_red_block_into_the_tray: (hand) => put(hand, [RED, inTray()]),
  BLOCKS_SCENE1_put_the_green_block_and_the_blue_block_into_the_tray: (hand) =>
    put(hand, [GREEN, inTray(-0.036)], [BLUE, inTray(0.036)]),
  BLOCKS_SCENE2_stack_the_red_block_on_the_blue_block: (hand) => put(hand, [RED, onBlock(BLUE)]),
  BLOCKS_SCENE2_stack_the_blue_block_on_the_red_block: (hand) => put(hand, [BLUE, onBlock(RED)]),
  DRAWER_SCENE3_push_the_drawer_shut: (hand) => pushShut(hand, DRAWER, SLIDE),
  DRAWER_SCENE3_pull_the_drawer_open: (hand) => pullOpen(hand, DRAWER, SLIDE),
  PLATES_SCENE4_put_the_block_on_the_left_plate: (hand) => put(hand, [RED, onPlate(1)]),
  PLATES_SCENE4_put_the_block_on_the_right_plate: (hand) => put(hand, [RED, onPlate(2)]),
};

/** Names of the tasks the expert can solve. */
export const expertTasks: readonly string[] = Object.keys(SKILLS);

/** One episode of the expert. Equal seeds and equal worlds give equal actions. */
export class Expert {
  readonly #skill: Skill;

  /**
   * @param task name of a task's file, without extension.
   * @param sim the simulator of the running episode, read before every action and never written.
   * @param seed varies heights, speeds and tremor: an integer in [0, 2³²).
   */
  constructor(task: string, sim: Sim, seed: number) {
    if (!expertTasks.includes(task))
      throw new Error(`Expert: expected a task of ${expertTasks.join(", ")}, found ${task}`);
    this.#skill = SKILLS[task](new Hand(sim, seed));
  }

  /** The next action, (7), each in [-1, 1], for the world as it is now. */
  act(): Action {
    return this.#skill.next().value;
  }
}

/** Puts blocks in their places, one after the other; again what has not come to its place, or has left it. */
function* put(hand: Hand, ...moves: readonly (readonly [block: string, place: Place])[]): Skill {
  for (;;) {
    const next = moves.find(([block, place]) => !hand.isIn(place, block));
    if (next) yield* pickAndPlace(hand, ...next);
    else yield hand.towards(hand.tip(), 0, OPEN);
  }
}

/**
 * Takes a block, from above, and sets it down. What the world is like already is not done again, and where something
 * went wrong it ends early: then it is for the caller to look at the world and begin again.
 */
function* pickAndPlace(hand: Hand, block: string, place: Place): Generator<Action, void> {
  const hover = hand.vary(0.1, 0.02);
  if (!hand.holds(block)) yield* pick(hand, block, hover);
  else if (!hand.isAbove(place, block)) yield* lift(hand, block, hover, hand.yaw());
  if (hand.holds(block)) yield* release(hand, block, place);
}

function* pick(hand: Hand, block: string, hover: number): Generator<Action, void> {
  const yaw = hand.nearestYaw(block);
  const at = (height: number) => () => up(hand.position(block), height);
  /** The block was turned: its faces are elsewhere. */
  const turned = (): boolean => Math.abs(wrap(hand.nearestYaw(block) - yaw, Math.PI / 2)) > 0.15;
  /** The hand is beside the way down. */
  const strayed = (): boolean => turned() || aside(hand.tip(), hand.position(block)) > 0.03;

  if (!hand.isOver(block, yaw, hover)) yield* reach(hand, at(hover), yaw, OPEN, 0.012, turned);
  yield* reach(hand, at(0.002), yaw, OPEN, 0.007, strayed);
  if (strayed()) return;
  yield* grip(hand, CLOSED, 7);
  yield* lift(hand, block, hover, yaw);
}

/** Lifts even what it has lost: so the fingers are shut when they come down again, and find room between things. */
function* lift(hand: Hand, block: string, height: number, yaw: number): Generator<Action, void> {
  const lifted = up(hand.position(block), height);
  yield* reach(hand, () => lifted, yaw, CLOSED, 0.02);
}

/** Sets a block that is held down in its place. */
function* release(hand: Hand, block: string, { body, spot }: Place): Generator<Action, void> {
  // The goal is the block's: the hand holds it a little off centre.
  const over = (height: number) => () =>
    add(up(hand.inFrame(body, spot), height), subtract(hand.tip(), hand.position(block)));
  const lost = (): boolean => !hand.holds(block);

  yield* reach(hand, over(hand.vary(0.075, 0.02)), 0, CLOSED, 0.012, lost);
  if (lost()) return;
  yield* reach(hand, over(0), 0, CLOSED, 0.01, lost);
  yield* grip(hand, OPEN, 5);
  const away = up(hand.tip(), 0.1);
  yield* reach(hand, () => away, 0, OPEN, 0.02);
}

/** Pushes a drawer home with closed fingers against its handle; again if it has not gone all the way. */
function* pushShut(hand: Hand, drawer: string, slide: string): Skill {
  /** The handle in the drawer's frame, and how far the fingertips reach from the grip site. */
  const handle: Vector = [0, -0.118, 0.045];
  const fingers = 0.024;
  /** How far the goal runs ahead of the fingertips: what the push's force comes from. */
  const lead = 0.04;

  for (;;) {
    const sideways = hand.vary(0, 0.015);
    const height = hand.vary(0.005, 0.003);
    /** A point before the handle, `gap` from the fingertips to it, in the drawer's frame. */
    const spot = (gap: number): Vector => [handle[0] + sideways, handle[1] - fingers - gap, handle[2]];
    const before = (gap: number, above: number) => () => up(hand.inFrame(drawer, spot(gap)), above);
    const gap = hand.vary(0.05, 0.01);
    /** The shut hand is before the handle, or has only just been pushed on. */
    const aims = (): boolean => {
      const [x, y, z] = subtract(hand.intoFrame(drawer, hand.tip()), spot(0));
      return hand.opening() < 0.02 && Math.abs(x) < 0.04 && -0.09 < y && y < 0.02 && Math.abs(z) < 0.025;
    };

    if (!aims()) {
      const above = hand.vary(0.12, 0.02);
      const isOver = aside(hand.tip(), before(gap, 0)()) < 0.02 && hand.tip()[2] > before(gap, 0)()[2];
      if (!isOver) yield* reach(hand, before(gap, above), 0, CLOSED, 0.02);
      yield* reach(hand, before(gap, height), 0, CLOSED, 0.012);
    }
    for (let step = 0; step < 60 && hand.joint(slide) < 0.008 && aims(); step++)
      yield hand.towards(before(-lead, height)(), 0, CLOSED);
    if (aims()) yield* reach(hand, before(gap, height), 0, CLOSED, 0.02);
  }
}

/** Takes a drawer's front and its handle between the fingers, one of them inside, and pulls; again if it slips. */
function* pullOpen(hand: Hand, drawer: string, slide: string): Skill {
  /** Midway from the front's inner face to the handle's outer one, in the drawer's frame. */
  const front: Vector = [0, -0.102, 0.05];
  const lead = 0.04;
  /** The hand is about the front, whether shut or not. */
  const isAbout = (): boolean => {
    const [x, y, z] = subtract(hand.intoFrame(drawer, hand.tip()), front);
    return Math.abs(x) < 0.06 && Math.abs(y) < 0.025 && Math.abs(z) < 0.025;
  };
  const clasps = (): boolean => isAbout() && hand.opening() < 0.05;

  for (;;) {
    const sideways = hand.vary(0, 0.015);
    /** A point over the front, `out` of it by so much. */
    const at = (above: number, out = 0) => {
      const height = front[2] + above;
      return () => hand.inFrame(drawer, [front[0] + sideways, front[1] - out, height]);
    };

    if (!clasps()) {
      const above = hand.vary(0.09, 0.02);
      const isOver = aside(hand.tip(), at(0)()) < 0.015 && hand.tip()[2] > at(0)()[2];
      if (!isOver || hand.opening() < 0.065) yield* reach(hand, at(above), 0, OPEN, 0.015);
      yield* reach(hand, at(hand.vary(0, 0.003)), 0, OPEN, 0.01, () => aside(hand.tip(), at(0)()) > 0.03);
      if (!isAbout()) continue;
      yield* grip(hand, CLOSED, 7);
    }
    for (let step = 0; step < 40 && hand.joint(slide) > -0.15 && clasps(); step++)
      yield hand.towards(at(0, lead)(), 0, CLOSED);
    yield* grip(hand, OPEN, 5);
    const away = up(hand.tip(), 0.1);
    yield* reach(hand, () => away, 0, OPEN, 0.02);
  }
}

/**
 * Moves the grip site to a goal that may itself move, pointing down, until it is near enough or `stop` says that there is
 * no use in it; gives up after 4 s.
 */
function* reach(
  hand: Hand,
  goal: () => Vector,
  yaw: number,
  grip: number,
  within: number,
  stop: () => boolean = () => false,
): Generator<Action, void> {
  for (let step = 0; step < 80 && !stop(); step++) {
    if (distance(goal(), hand.tip()) < within && Math.abs(hand.yawError(yaw)) < 0.06) return;
    yield hand.towards(goal(), yaw, grip);
  }
}

/** Holds still while the gripper opens or closes. */
function* grip(hand: Hand, command: number, steps: number): Generator<Action, void> {
  const [here, yaw] = [hand.tip(), hand.yaw()];
  for (let step = 0; step < steps; step++) yield hand.towards(here, yaw, command);
}

/** The arm's end as the expert feels it: where things are, and actions that lead there. */
class Hand {
  readonly #sim: Sim;
  readonly #site: number;
  readonly #body: number;
  readonly #random: Mt19937;
  /** Largest translation per step, in action units. */
  readonly #speed: number;

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

  /** Position of a joint: metres for a slide. */
  joint(name: string): number {
    return this.#sim.views.qpos[this.#sim.qposAddress(name)];
  }

  /** A point given in the frame of an upright body, in the world frame. */
  inFrame(body: string, [x, y, z]: Vector): Vector {
    const [cos, sin] = [Math.cos(this.#bodyYaw(body)), Math.sin(this.#bodyYaw(body))];
    return add(this.position(body), [cos * x - sin * y, sin * x + cos * y, z]);
  }

  /** A point of the world frame in the frame of an upright body. */
  intoFrame(body: string, point: Vector): Vector {
    const [cos, sin] = [Math.cos(this.#bodyYaw(body)), Math.sin(this.#bodyYaw(body))];
    const [x, y, z] = subtract(point, this.position(body));
    return [cos * x + sin * y, cos * y - sin * x, z];
  }

  /** The hand's angle about the vertical, radians: 0 when its camera looks from the far side of the table. */
  yaw(): number {
    const [x] = this.#axes();
    return Math.atan2(x[1], x[0]);
  }

  /** Between the fingers, metres. */
  opening(): number {
    return this.joint(FINGER_JOINTS[0]) - this.joint(FINGER_JOINTS[1]);
  }

  /** Whether a block is between the fingers, and these are not open. */
  holds(block: string): boolean {
    return distance(this.position(block), this.tip()) < 0.03 && this.opening() < HELD_OPENING;
  }

  /** Whether the open hand may go straight down to a block. */
  isOver(block: string, yaw: number, highest: number): boolean {
    const [tip, at] = [this.tip(), this.position(block)];
    const height = tip[2] - at[2];
    const turned = Math.abs(this.yawError(yaw)) < 0.06;
    return height > 0 && height < highest && aside(tip, at) < 0.012 && turned && this.opening() > 0.065;
  }

  /** Whether a block is so high, or so near its place, that it may go straight to it. */
  isAbove({ body, spot }: Place, block: string): boolean {
    const [at, goal] = [this.position(block), this.inFrame(body, spot)];
    return at[2] - goal[2] > 0.05 || aside(at, goal) < 0.03;
  }

  /** Whether a block lies in its place, or in the hand just over it. */
  isIn({ body, spot, room }: Place, block: string): boolean {
    const [x, y, z] = this.intoFrame(body, this.position(block));
    return Math.abs(x) < room[0] && Math.abs(y) < room[1] && Math.abs(z - spot[2]) < 0.015;
  }

  yawError(yaw: number): number {
    return wrap(yaw - this.yaw(), 2 * Math.PI);
  }

  /** The hand's angle, nearest to 0, at which its fingers meet two faces of a cube, whichever it lies on. */
  nearestYaw(cube: string): number {
    const [w, x, y, z] = this.#quaternion(cube);
    const upright = Math.abs(2 * (x * z - w * y)) < 0.7;
    const side = upright ? this.#bodyYaw(cube) : Math.atan2(1 - 2 * (x * x + z * z), 2 * (x * y - w * z));
    return wrap(side, Math.PI / 2);
  }

  /** The action that leads the grip site to `goal`, the hand pointing straight down and turned by `yaw`. */
  towards(goal: Vector, yaw: number, grip: number): Action {
    const move = subtract(goal, this.tip()).map((d) => (GAIN * d) / TRANSLATION);
    const slow = Math.min(1, this.#speed / Math.hypot(...move));
    const turn = this.#rotationError(yaw).map((r) => r / ROTATION);
    const clip = (value: number) => Math.min(Math.max(value, -1), 1);
    return [
      ...move.map((a) => clip(a * slow + TREMOR.translation * this.#random.gauss())),
      ...turn.map((a) => clip(a + TREMOR.rotation * this.#random.gauss())),
      grip,
    ];
  }

  /** ½ Σ hₖ × gₖ over the columns of the hand's rotation and its goal: the controller's own measure of the error. */
  #rotationError(yaw: number): Vector {
    const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
    const goal: Vector[] = [
      [cos, sin, 0],
      [sin, -cos, 0],
      [0, 0, -1],
    ];
    const crosses = this.#axes().map((axis, k) => cross(axis, goal[k]));
    return [0, 1, 2].map((i) => (crosses[0][i] + crosses[1][i] + crosses[2][i]) / 2) as unknown as Vector;
  }

  /** The hand's x, y and z axes in the world frame. */
  #axes(): Vector[] {
    const [w, x, y, z] = this.#sim.views.bodyQuat.subarray(4 * this.#body, 4 * this.#body + 4);
    return [
      [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
      [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
      [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
    ];
  }

  #quaternion(body: string): Float64Array {
    const at = 4 * this.#sim.id("body", body);
    return this.#sim.views.bodyQuat.subarray(at, at + 4);
  }

  #bodyYaw(body: string): number {
    const [w, x, y, z] = this.#quaternion(body);
    return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
  }
}

function triple(values: ArrayLike<number>, at: number): Vector {
  return [values[at], values[at + 1], values[at + 2]];
}

function add(a: Vector, b: Vector): Vector {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

function subtract(a: Vector, b: Vector): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** Distance in the plane. */
function aside(a: Vector, b: Vector): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function up([x, y, z]: Vector, height: number): Vector {
  return [x, y, z + height];
}

function distance(a: Vector, b: Vector): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** The angle of the same direction in [-period/2, period/2). */
function wrap(angle: number, period: number): number {
  return angle - period * Math.floor(angle / period + 0.5);
}
