import type { SceneObject } from "../libero/scene.ts";
import { type Axes, OPEN, reach, type Skill } from "./hand.ts";
import { cross, distance, scale, subtract, up, type Vector, wrap } from "./vector.ts";
import type { World } from "./world.ts";

/** Half of what is between the middles of open fingers, and half of what a finger measures along the push, metres. */
const FINGERS = { apart: 0.045, thick: 0.01 };
/** How far the fingertips reach below the grip site, metres. */
const FINGERTIPS = 0.015;
/** How far behind the place where both fingers touch the hand comes down, metres. */
const BEHIND = 0.02;
/** How far the goal runs ahead of a hand that pushes, metres. */
const LEAD = 0.05;
/**
 * How far the hand leans over what it pushes where something stands behind it, radians, and the room that it needs
 * there.
 */
const LEAN = 0.4;
const ROOM = { above: 0.08, around: 0.06 };

/**
 * Pushes something round and flat over the table until `done`. Both fingers of the open hand touch
 * it from behind, so that it does not turn aside.
 *
 * @param radius of its rim, metres.
 * @param goal where its middle goes.
 */
export function* push(
  world: World,
  thing: SceneObject,
  radius: number,
  goal: Vector,
  done: () => boolean,
): Skill {
  const { hand, shapes } = world;
  const middle = (): Vector => hand.position(thing.rootBody);
  /** The level direction in which it has to go. */
  const along = (): Vector => {
    const [x, y] = subtract(goal, middle());
    return scale([x, y, 0], 1 / Math.hypot(x, y));
  };
  const touching = Math.sqrt((radius + FINGERS.thick) ** 2 - FINGERS.apart ** 2);
  const height = shapes.lowest(thing.name) + FINGERTIPS;
  /** The grip site so far behind the middle, and so much higher than it pushes. */
  const behind = (far: number, above = 0): Vector => {
    const [x, y] = subtract(middle(), scale(along(), far));
    return [x, y, height + above];
  };
  const start = behind(touching + BEHIND);
  const isTight = shapes.clearance(up(start, ROOM.above), thing.name) < ROOM.around;
  const lean = isTight ? LEAN : 0;
  const turned = wrap(Math.atan2(along()[1], along()[0]) - hand.yaw(), 2 * Math.PI);
  const facing = (): Axes => leaning(along(), Math.abs(turned) < Math.PI / 2 ? 1 : -1, lean);

  world.stage = `reach behind ${thing.name}`;
  const hover = hand.vary(0.12, 0.015);
  // Down from above the thing where something stands behind it.
  yield* reach(hand, () => behind(isTight ? 0 : touching + BEHIND, hover), facing(), OPEN, 0.015);
  yield* reach(hand, () => start, facing(), OPEN, 0.01);
  if (distance(hand.tip(), start) > 0.025) {
    world.troubles.push(`the hand stopped before ${thing.name}`);
    return;
  }
  world.stage = `push ${thing.name}`;
  const slips = (): boolean => distance(hand.tip(), behind(touching)) > 0.05;
  for (let step = 0; step < 120 && !done() && !slips(); step++)
    yield hand.towards(behind(touching - LEAD), facing(), OPEN);
  if (!done()) world.troubles.push(`${thing.name} went aside`);
  // Back first: the fingertips are under its rim.
  const held = facing();
  const back = subtract(hand.tip(), scale(along(), 0.05));
  yield* reach(hand, () => back, held, OPEN, 0.02);
  yield* reach(hand, () => up(back, 0.1), held, OPEN, 0.02);
}

/** The axes of a hand whose fingers stand across a level direction and lean back from it; `turn` is 1 or −1. */
function leaning(along: Vector, turn: 1 | -1, lean: number): Axes {
  const [cos, sin] = [Math.cos(lean), Math.sin(lean)];
  const z: Vector = [-sin * along[0], -sin * along[1], -cos];
  const x: Vector = scale([cos * along[0], cos * along[1], -sin], turn);
  return [x, cross(z, x), z];
}
