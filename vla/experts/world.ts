import type { Scene, SceneObject } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import { GRASPS, type Grasp } from "./grasps.ts";
import { type Axes, axesOf, Hand } from "./hand.ts";
import { combine, Shapes } from "./shapes.ts";
import { add, triple, type Vector, wrap } from "./vector.ts";

/** Where a hand that points down takes a thing, and how it is turned there. */
export interface Hold {
  /** In the frame of the thing's body. */
  readonly at: Vector;
  readonly yaw: number;
}

/** Fingers and hand beside the grip site: how far along the fingers' axis, how far above it, and the room they need. */
const HAND_PARTS = [
  { aside: 0.05, above: -0.01, room: 0.02 },
  { aside: 0.05, above: 0.015, room: 0.02 },
  { aside: 0.05, above: 0.04, room: 0.02 },
  { aside: 0.05, above: 0.07, room: 0.02 },
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

  /** The hold that leaves fingers and hand the room they need and turns the hand least. */
  bestHold(thing: SceneObject): Hold {
    const holds = holdsOf(GRASPS[thing.category], this.axes(thing.rootBody));
    const costs = holds.map((hold) => Math.abs(hold.yaw) + 1000 * this.#lackOfRoom(thing, hold));
    return holds[costs.indexOf(Math.min(...costs))];
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
  #lackOfRoom({ name, rootBody }: SceneObject, { at, yaw }: Hold): number {
    const [x, y, z] = this.point(rootBody, at);
    let lack = 0;
    for (const { aside, above, room } of HAND_PARTS)
      for (const side of [-aside, aside]) {
        const part: Vector = [x + side * Math.sin(yaw), y - side * Math.cos(yaw), z + above];
        lack += Math.max(0, room - this.shapes.clearance(part, name));
      }
    return lack;
  }
}

/** All ways to take a thing whose body has these axes. */
function holdsOf(grasp: Grasp, axes: Axes): Hold[] {
  /** The fingers open along the hand's y, which is 90° behind its x. */
  const hold = (at: Vector, [x, y]: Vector): Hold => ({
    at,
    yaw: wrap(Math.atan2(y, x) + Math.PI / 2, Math.PI),
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
