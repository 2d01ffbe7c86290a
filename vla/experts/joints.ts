import { type Axes, CLOSED, close, grip, OPEN, reach, type Skill } from "./hand.ts";
import type { Knob, Pull } from "./handles.ts";
import { travel } from "./pick-and-place.ts";
import { add, cross, distance, scale, up, type Vector, wrap } from "./vector.ts";
import type { World } from "./world.ts";

/** How far the goal runs ahead of the hand that pulls, metres: what its force comes from. */
const LEAD = 0.05;
/** How far before the bar the hand stops to come in level, metres. */
const BEFORE = 0.07;
/** How far the goal runs ahead of a hand that turns, radians. */
const TURN_LEAD = 0.4;

/** Takes the bar of a drawer from the front, one finger above it and one below, and pulls until `done`. */
export function* pullOpen(world: World, fixture: string, pull: Pull, done: () => boolean): Skill {
  const { hand } = world;
  const body = `${fixture}_${pull.body}`;
  const out = world.direction(body, pull.out);
  const facing = pointingAlong(scale(out, -1));
  const sideways = hand.vary(0, 0.01);
  const bar = (away: number): Vector =>
    add(world.point(body, add(pull.bar, [sideways, 0, 0])), scale(out, away));

  world.stage = `reach the drawer ${pull.joint}`;
  const tall = hand.vary(0.12, 0.02);
  yield* reach(hand, () => up(bar(BEFORE + 0.08), tall), facing, OPEN, 0.03);
  yield* reach(hand, () => bar(BEFORE), facing, OPEN, 0.012);
  yield* reach(hand, () => bar(0), facing, OPEN, 0.008);
  if (distance(hand.tip(), bar(0)) > 0.03) {
    world.troubles.push("the hand stopped before the bar");
    return;
  }
  world.stage = `pull the drawer ${pull.joint}`;
  yield* close(hand, facing);
  const slips = (): boolean => distance(hand.tip(), bar(0)) > 0.035;
  for (let step = 0; step < 80 && !done() && !slips(); step++) yield hand.towards(bar(LEAD), facing, CLOSED);
  if (!done()) world.troubles.push("the bar slipped out of the fingers");
  yield* grip(hand, OPEN, 6, facing);
  const away = add(hand.tip(), scale(out, 0.07));
  yield* reach(hand, () => away, facing, OPEN, 0.02);
  const clear = up(away, 0.12);
  yield* reach(hand, () => clear, hand.yaw(), OPEN, 0.03);
}

/** Takes the bar of a knob and turns it, `direction` 1 for anticlockwise as seen from above, until `done`. */
export function* turnKnob(
  world: World,
  fixture: string,
  knob: Knob,
  direction: 1 | -1,
  done: () => boolean,
): Skill {
  const { hand } = world;
  const body = `${fixture}_${knob.body}`;
  const [x, y] = world.direction(body, knob.across);
  const yaw = wrap(Math.atan2(y, x) + Math.PI / 2, Math.PI);
  const at = (): Vector => world.point(body, knob.at);
  const hover = hand.vary(0.08, 0.015);
  world.stage = "reach the knob";
  yield* travel(world, () => up(at(), hover), yaw, OPEN, null);
  yield* reach(hand, at, yaw, OPEN, 0.008);
  world.stage = "turn the knob";
  yield* close(hand, yaw);
  for (let step = 0; step < 60 && !done(); step++)
    yield hand.towards(at(), hand.yaw() + direction * TURN_LEAD, CLOSED);
  if (!done()) world.troubles.push("the knob slipped out of the fingers");
  yield* grip(hand, OPEN, 6);
  const away = up(hand.tip(), 0.1);
  yield* reach(hand, () => away, hand.yaw(), OPEN, 0.02);
}

/** The axes of a hand that points along a level direction, its fingers one above the other. */
function pointingAlong(direction: Vector): Axes {
  const y: Vector = [0, 0, 1];
  return [cross(y, direction), y, direction];
}
