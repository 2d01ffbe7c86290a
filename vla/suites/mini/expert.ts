/**
 * A scripted expert for the tasks of the embedded suite. It looks at the simulator's true poses and speaks through
 * the same seven action numbers as any policy, so its episodes can be recorded as demonstrations. Its skills never end;
 * whoever runs the episode stops at success.
 */

import {
  type Action,
  CLOSED,
  type EndlessSkill,
  grip,
  Hand,
  OPEN,
  reach,
  type Skill,
} from "../../experts/hand.ts";
import { add, aside, distance, subtract, up, type Vector, wrap } from "../../experts/vector.ts";
import type { Sim } from "../../libero/sim.ts";

/** Fingers about a block of 4 cm are at most so far apart, metres; open ones 8 cm. */
const HELD_OPENING = 0.06;

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
const SKILLS: Readonly<Record<string, (hand: BlockHand) => EndlessSkill>> = {
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
  readonly #skill: EndlessSkill;

  /**
   * @param task name of a task's file, without extension.
   * @param sim the simulator of the running episode, read before every action and never written.
   * @param seed varies heights, speeds and tremor: an integer in [0, 2³²).
   */
  constructor(task: string, sim: Sim, seed: number) {
    if (!expertTasks.includes(task))
      throw new Error(`Expert: expected a task of ${expertTasks.join(", ")}, found ${task}`);
    this.#skill = SKILLS[task](new BlockHand(sim, seed));
  }

  /** The next action, (7), each in [-1, 1], for the world as it is now. */
  act(): Action {
    return this.#skill.next().value;
  }

  get account(): string {
    return "out of time";
  }
}

/** Puts blocks in their places, one after the other; again what has not come to its place, or has left it. */
function* put(hand: BlockHand, ...moves: readonly (readonly [block: string, place: Place])[]): EndlessSkill {
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
function* pickAndPlace(hand: BlockHand, block: string, place: Place): Skill {
  const hover = hand.vary(0.1, 0.02);
  if (!hand.holds(block)) yield* pick(hand, block, hover);
  else if (!hand.isAbove(place, block)) yield* lift(hand, block, hover, hand.yaw());
  if (hand.holds(block)) yield* release(hand, block, place);
}

function* pick(hand: BlockHand, block: string, hover: number): Skill {
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
function* lift(hand: BlockHand, block: string, height: number, yaw: number): Skill {
  const lifted = up(hand.position(block), height);
  yield* reach(hand, () => lifted, yaw, CLOSED, 0.02);
}

/** Sets a block that is held down in its place. */
function* release(hand: BlockHand, block: string, { body, spot }: Place): Skill {
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
function* pushShut(hand: BlockHand, drawer: string, slide: string): EndlessSkill {
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
function* pullOpen(hand: BlockHand, drawer: string, slide: string): EndlessSkill {
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

/** A hand that knows blocks. */
class BlockHand extends Hand {
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

  /** The hand's angle, nearest to 0, at which its fingers meet two faces of a cube, whichever it lies on. */
  nearestYaw(cube: string): number {
    const [w, x, y, z] = this.quaternion(cube);
    const upright = Math.abs(2 * (x * z - w * y)) < 0.7;
    const side = upright ? this.bodyYaw(cube) : Math.atan2(1 - 2 * (x * x + z * z), 2 * (x * y - w * z));
    return wrap(side, Math.PI / 2);
  }
}
