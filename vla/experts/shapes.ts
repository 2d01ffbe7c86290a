import type { Scene } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import type { Axes } from "./hand.ts";
import { add, dot, subtract, triple, type Vector } from "./vector.ts";

/** A box that holds one of the shapes that touch, in the frame of the body that it belongs to. */
interface Box {
  readonly geom: number;
  /** Name of its object or fixture. */
  readonly owner: string;
  readonly centre: Vector;
  readonly half: Vector;
}

/** Where the things of a scene are solid: what a hand must go around, and how far down something reaches. */
export class Shapes {
  readonly #sim: Sim;
  readonly #boxes: readonly Box[];

  constructor(scene: Scene, sim: Sim) {
    this.#sim = sim;
    const { geom_aabb: aabb } = sim.model;
    this.#boxes = scene.objects.flatMap(({ name: owner, contactGeoms }) =>
      contactGeoms.map((name) => {
        const geom = sim.id("geom", name);
        return { geom, owner, centre: triple(aabb, 6 * geom), half: triple(aabb, 6 * geom + 3) };
      }),
    );
  }

  /** Height of the lowest point of a thing, metres. */
  lowest(owner: string): number {
    return Math.min(...this.#cornersOf((box) => box.owner === owner).map(([, , z]) => z));
  }

  /** Height of the highest point of a thing, metres. */
  highest(owner: string): number {
    return Math.max(...this.#cornersOf((box) => box.owner === owner).map(([, , z]) => z));
  }

  /**
   * Height of the highest point within `radius` of the way from one point to another as seen from above, metres;
   * -∞ where there is nothing.
   *
   * @param except a thing that does not count: the one that is carried.
   */
  highestAlong(from: Vector, to: Vector, radius: number, except: string): number {
    let highest = Number.NEGATIVE_INFINITY;
    for (const corners of this.#byBox((box) => box.owner !== except)) {
      const middle = centroid(corners);
      const reach = Math.max(...corners.map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])));
      if (besideSegment(middle, from, to) < radius + reach)
        highest = Math.max(highest, ...corners.map(([, , z]) => z));
    }
    return highest;
  }

  /** Distance from a point to the nearest thing but one, metres; 0 inside. */
  clearance(point: Vector, except: string): number {
    let nearest = Number.POSITIVE_INFINITY;
    const poses = this.#poses();
    for (const box of this.#boxes) {
      if (box.owner === except) continue;
      const { middle, axes } = poseOf(poses, box);
      const away = subtract(point, middle);
      const beyond = axes.map((axis, k) => Math.max(0, Math.abs(dot(axis, away)) - box.half[k]));
      nearest = Math.min(nearest, Math.hypot(...beyond));
    }
    return nearest;
  }

  #cornersOf(wanted: (box: Box) => boolean): Vector[] {
    return this.#byBox(wanted).flat();
  }

  #byBox(wanted: (box: Box) => boolean): Vector[][] {
    const poses = this.#poses();
    return this.#boxes.filter(wanted).map((box) => {
      const { middle, axes } = poseOf(poses, box);
      return SIGNS.map((signs) => {
        const along = signs.map((sign, k) => sign * box.half[k]) as unknown as Vector;
        return add(middle, combine(axes, along));
      });
    });
  }

  /**
   * Positions and rotation matrices of all shapes: taken once for many boxes, since each look at MuJoCo's memory costs.
   */
  #poses(): Poses {
    const { geom_xpos: positions, geom_xmat: matrices } = this.#sim.data;
    return { positions, matrices };
  }
}

interface Poses {
  readonly positions: Float64Array;
  readonly matrices: Float64Array;
}

function poseOf({ positions, matrices: m }: Poses, { geom, centre }: Box): { middle: Vector; axes: Axes } {
  const at = 9 * geom;
  const axes: Axes = [
    [m[at], m[at + 3], m[at + 6]],
    [m[at + 1], m[at + 4], m[at + 7]],
    [m[at + 2], m[at + 5], m[at + 8]],
  ];
  return { middle: add(triple(positions, 3 * geom), combine(axes, centre)), axes };
}

const SIGNS: readonly Vector[] = [-1, 1].flatMap((x) =>
  [-1, 1].flatMap((y) => [-1, 1].map((z): Vector => [x, y, z])),
);

/** Σ axesₖ vₖ. */
export function combine(axes: Axes, v: Vector): Vector {
  return [0, 1, 2].map((i) => axes[0][i] * v[0] + axes[1][i] * v[1] + axes[2][i] * v[2]) as unknown as Vector;
}

function centroid(points: readonly Vector[]): Vector {
  const sum = points.reduce(add);
  return [sum[0] / points.length, sum[1] / points.length, sum[2] / points.length];
}

/** Distance from a point to the segment between two others, all seen from above. */
function besideSegment([x, y]: Vector, [ax, ay]: Vector, [bx, by]: Vector): number {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy;
  const t = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
