import type { SceneObject } from "../libero/scene.ts";
import { CLOSED, close, type Facing, grip, OPEN, pointingDown, reach, type Skill } from "./hand.ts";
import { add, aside, distance, dot, scale, subtract, up, type Vector } from "./vector.ts";
import type { World } from "./world.ts";

/** Where to set something down. */
export interface Place {
  /** Where the thing's origin comes to be as seen from above, at the height of what it will rest on. */
  readonly spot: () => Vector;
  /** From how high above that it is let go, metres. */
  readonly drop: number;
}

/** Room between the lowest point of what moves and the highest of what it passes over, metres. */
const ROOM = 0.03;
/** How far the fingertips reach below the grip site, metres. */
const FINGERTIPS = 0.015;

/**
 * Takes a thing and sets it down; ends early where something goes wrong, for whoever looks at the world and begins
 * again.
 */
export function* pickAndPlace(world: World, thing: SceneObject, place: Place): Skill {
  if (!(yield* pick(world, thing))) return;
  yield* release(world, thing, place);
}

/** Takes a thing from above. Returns whether it is in the hand. */
function* pick(world: World, thing: SceneObject): Generator<number[], boolean, void> {
  const { hand } = world;
  const { at, facing } = world.bestHold(thing);
  const leans = typeof facing !== "number";
  const [, , ahead] = leans ? facing : pointingDown(facing);
  const goal = (): Vector => world.point(thing.rootBody, at);
  const hover = hand.vary(0.08, 0.015);
  // A hand that leans to get past something has to come all the way from above that leaning, not straight down.
  const beside = world.shapes.highestAlong(goal(), goal(), 0.1, thing.name);
  const back = leans ? Math.max(hover, (beside + FINGERTIPS + ROOM - goal()[2]) / -ahead[2]) : hover;
  const start = (): Vector => add(goal(), scale(ahead, -back));
  world.stage = `reach ${thing.name}`;
  // Near the robot a leaning hand never comes to rest: it only passes there.
  yield* travel(world, start, facing, OPEN, null, () => leans && distance(hand.tip(), start()) < 0.03);
  const strays = (): boolean => {
    const left = subtract(goal(), hand.tip());
    return distance(left, scale(ahead, dot(ahead, left))) > (leans ? 0.06 : 0.03);
  };
  yield* reach(hand, goal, facing, OPEN, 0.007, strays);
  if (distance(hand.tip(), goal()) > 0.025) return trouble(world, `the hand stopped beside ${thing.name}`);
  world.stage = `grasp ${thing.name}`;
  yield* close(hand, facing);
  const lifted = up(hand.tip(), 0.06);
  const under = world.isUnder(thing);
  yield* reach(
    hand,
    () => lifted,
    facing,
    CLOSED,
    0.02,
    () => under && hand.tip()[2] > lifted[2] - 0.045,
  );
  if (under) {
    // Out towards the robot, where the sky is free.
    const out = add(hand.tip(), [-0.1, 0, 0]);
    yield* reach(hand, () => out, facing, CLOSED, 0.02);
  }
  return isHeld(world, thing, at) || trouble(world, `${thing.name} was not in the fingers`);
}

/** Sets down a thing that is in the hand. */
function* release(world: World, thing: SceneObject, { spot, drop }: Place): Skill {
  const { hand, shapes } = world;
  const held = subtract(world.hand.tip(), hand.position(thing.rootBody));
  const lost = (): boolean => distance(subtract(hand.tip(), hand.position(thing.rootBody)), held) > 0.04;
  /** Where the grip site goes so that the thing's lowest point is so high above the spot. */
  const over = (height: number) => (): Vector => {
    const [x, y] = subtract(spot(), hand.position(thing.rootBody));
    return add(hand.tip(), [x, y, spot()[2] + height - shapes.lowest(thing.name)]);
  };
  const yaw = hand.yaw();
  world.stage = `carry ${thing.name}`;
  yield* travel(world, over(drop + 0.05), yaw, CLOSED, thing, lost);
  if (!lost()) yield* reach(hand, over(drop), yaw, CLOSED, 0.01, lost);
  if (lost()) {
    trouble(world, `${thing.name} slipped out of the fingers`);
    return;
  }
  world.stage = `let go of ${thing.name}`;
  yield* grip(hand, OPEN, 6);
  const away = up(hand.tip(), 0.1);
  yield* reach(hand, () => away, yaw, OPEN, 0.02);
}

/** Goes to a point from above: first up, then over all that stands in between, then down. */
export function* travel(
  world: World,
  goal: () => Vector,
  facing: Facing,
  command: number,
  carried: SceneObject | null,
  stop?: () => boolean,
): Skill {
  const { hand, shapes } = world;
  const start = hand.tip();
  const hangs = carried === null ? FINGERTIPS : start[2] - shapes.lowest(carried.name);
  const beneath = shapes.highestAlong(start, goal(), carried === null ? 0.07 : 0.1, carried?.name ?? "");
  const height = Math.max(goal()[2], beneath + hangs + ROOM);
  const at = ([x, y]: Vector): Vector => [x, y, height];
  if (aside(start, goal()) > 0.03) {
    if (start[2] < height - 0.02) yield* reach(hand, () => at(start), facing, command, 0.02, stop);
    yield* reach(hand, () => at(goal()), facing, command, 0.02, stop);
  }
  yield* reach(hand, goal, facing, command, 0.012, stop);
}

function isHeld(world: World, thing: SceneObject, at: Vector): boolean {
  return distance(world.hand.tip(), world.point(thing.rootBody, at)) < 0.03;
}

function trouble(world: World, what: string): false {
  world.troubles.push(what);
  return false;
}
