import type { Scene, SceneObject } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import { GRASPS, type Grasp } from "./grasps.ts";
import { type Axes, axesOf, type Facing, Hand, pointingDown } from "./hand.ts";
import { combine, Shapes } from "./shapes.ts";
import { add, scale, triple, type Vector, wrap } from "./vector.ts";

/** Where a hand takes a thing from above, and how it is held there. */
export interface Hold {
  /** In the frame of the thing's body. */
  readonly at: Vector;
  readonly facing: Facing;
}

/** A hold of a hand that points straight down. */
interface Upright extends Hold {
  readonly facing: number;
}

/** How far a hand leans to one side where it has no room upright, radians, and how much room that must win, metres. */
const LEAN = 0.35;
const WORTH = 0.004;

/** Fingers and hand beside the grip site: how far along the fingers' axis, how far above it, and the room they need. */
const HAND_PARTS = [
  { aside: 0.05, above: -0.01, room: 0.02 },
  { aside: 0.05, above: 0.015, room: 0.02 },
  { aside: 0.05, above: 0.04, room: 0.02 },
  { aside: 0.05, above: 0.07, room: 0.02 },
  { aside: 0.085, above: 0.05, room: 0.025 },
  { aside: 0.1, above: 0.12, room: 0.025 },
  { aside: 0, above: 0.15, room: 0.04 },
  { aside: 0.08, above: 0.17, room: 0.03 },
] as const;

/** What the skills of an expert work with: the hand, the things around it, and what has gone wrong so far. */
export class World {
  readonly scene: Scene;
  readonly hand: Hand;
  readonly shapes: Shapes;
  /** What is being done. */
  stage = "";
  /** What went wrong, in order. */
  readonly troubles: string[] = [];
  readonly #sim: Sim;

  constructor(scene: Scene, sim: Sim, seed: number) {
    this.scene = scene;
    this.#sim = sim;
    this.hand = new Hand(sim, seed);
    this.shapes = new Shapes(scene, sim);
  }

  /** A point given in the frame of a body, however that lies, in the world frame. */
  point(body: string, local: Vector): Vector {
    return add(this.hand.position(body), this.direction(body, local));
  }

  /** A direction given in the frame of a body, in the world frame. */
  direction(body: string, local: Vector): Vector {
    return combine(this.axes(body), local);
  }

  axes(body: string): Axes {
    return axesOf(this.hand.quaternion(body));
  }

  /** The middle of a site, world frame, metres. */
  site(name: string): Vector {
    return triple(this.#sim.views.sitePos, 3 * this.#sim.id("site", name));
  }

  /**
   * The hold that leaves fingers and hand the room they need and turns the hand least; it leans only where that wins
   * room.
   */
  bestHold(thing: SceneObject): Hold {
    const holds = holdsOf(GRASPS[thing.category], this.axes(thing.rootBody));
    const costs = holds.map(
      ({ at, facing }) => Math.abs(facing) + 1000 * this.#lackOfRoom(thing, at, pointingDown(facing)),
    );
    const least = Math.min(...costs);
    const upright = holds[costs.indexOf(least)];
    if (least < 1000 * WORTH) return upright;
    const leaning = holds.flatMap(({ at, facing }) =>
      [-LEAN, LEAN].map((lean) => ({ at, facing: leaningAside(pointingDown(facing), lean), yaw: facing })),
    );
    const others = leaning.map(
      ({ at, facing, yaw }) => Math.abs(yaw) + 1000 * (WORTH + this.#lackOfRoom(thing, at, facing)),
    );
    const best = Math.min(...others);
    return best < least ? leaning[others.indexOf(best)] : upright;
  }

  /** Whether something is above a thing, so that it cannot be lifted straight up. */
  isUnder({ name, rootBody }: SceneObject): boolean {
    const [x, y] = this.hand.position(rootBody);
    const top = this.shapes.highest(name);
    return around(12).some(([cos, sin]) =>
      [0.05, 0.1, 0.15, 0.2].some(
        (height) => this.shapes.clearance([x + 0.06 * cos, y + 0.06 * sin, top + height], name) < 0.01,
      ),
    );
  }

  /** How much nearer than they should other things are to the parts of a hand that takes a thing, metres. */
  #lackOfRoom({ name, rootBody }: SceneObject, at: Vector, [, y, z]: Axes): number {
    const tip = this.point(rootBody, at);
    let lack = 0;
    for (const { aside, above, room } of HAND_PARTS)
      for (const side of [-aside, aside]) {
        const part = add(tip, add(scale(y, side), scale(z, -above)));
        lack += Math.max(0, room - this.shapes.clearance(part, name));
      }
    return lack;
  }
}

/** A hand turned about the line between its fingers, so that its back comes to lie to one side. */
function leaningAside([x, y, z]: Axes, angle: number): Axes {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [add(scale(x, cos), scale(z, -sin)), y, add(scale(z, cos), scale(x, sin))];
}

/** All ways to take a thing whose body has these axes. */
function holdsOf(grasp: Grasp, axes: Axes): Upright[] {
  /** The fingers open along the hand's y, which is 90° behind its x. */
  const hold = (at: Vector, [x, y]: Vector): Upright => ({
    at,
    facing: wrap(Math.atan2(y, x) + Math.PI / 2, Math.PI),
  });
  switch (grasp.kind) {
    case "rim":
      return around(24).map(([cos, sin]) =>
        hold([grasp.radius * cos, grasp.radius * sin, grasp.height], combine(axes, [cos, sin, 0])),
      );
    case "round":
      return around(24).map(([cos, sin]) => hold(grasp.at, [cos, sin, 0]));
    case "sides":
      return grasp.across.map((axis) => hold(grasp.at, combine(axes, axis)));
  }
}

/** Cosines and sines of `count` angles, evenly around the circle. */
function around(count: number): [cos: number, sin: number][] {
  return Array.from({ length: count }, (_, k) => {
    const angle = (2 * Math.PI * k) / count;
    return [Math.cos(angle), Math.sin(angle)];
  });
}
