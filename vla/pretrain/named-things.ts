import { type Predicate, Predicates } from "../libero/predicates.ts";
import { GRIP_SITE } from "../libero/robot.ts";
import { rotationVectorMatrix } from "../libero/rotation.ts";
import type { Scene, SceneObject, Term } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import { resolveTerm } from "../libero/terms.ts";

/** What is to be found in the pictures, in the order of everything that has one entry per thing. */
export const THINGS = ["object", "destination", "fingertips"] as const;

export type Vector = readonly [x: number, y: number, z: number];

/** Where a point is now, world frame, metres. */
type Place = () => Vector;

/**
 * The things that the words of a task name, and where they are: the object to move, its destination, and the
 * fingertips, which every task needs. They follow from the goal's terms, `(On OBJECT DESTINATION)`, and are what
 * LIBERO's tasks list under `:obj_of_interest`:
 *
 * - a movable object or a fixture is at the origin of its root body, a region at its middle;
 * - of a thing that opens, `(Open REGION)`, the object is the region that moves with its part (or the first part that
 *   has a joint), and the destination is where that will be when the goal holds: what tells pulling from pushing.
 *
 * A task of several parts names more than two things. What counts is the part at hand: the first term of the goal, in
 * the order of the file, that does not hold yet; the last one when all hold.
 */
export class NamedThings {
  readonly #parts: readonly { readonly holds: Predicate; readonly places: readonly Place[] }[];

  constructor(scene: Scene, sim: Sim) {
    const predicates = new Predicates(scene, sim);
    const fingertips = site(sim, GRIP_SITE);
    this.#parts = scene.goal.map((term) => ({
      holds: predicates.compile(term),
      places: [...placesOf(scene, sim, term), fingertips],
    }));
  }

  /** Whether the answer depends on contacts, so on `sim.forward()`: poses are enough otherwise. */
  get needContacts(): boolean {
    return this.#parts.length > 1;
  }

  /** Positions in the world frame, metres, one per thing, for what the simulator last computed. */
  positions(): Vector[] {
    const part = this.#parts.find(({ holds }) => !holds()) ?? this.#parts[this.#parts.length - 1];
    return part.places.map((place) => place());
  }
}

/** The names of object and destination in a term of a goal; the only one stands for both. */
export function namesIn([, object, destination = object]: Term): [object: string, destination: string] {
  return [object, destination];
}

function placesOf(scene: Scene, sim: Sim, term: Term): [Place, Place] {
  const what = resolveTerm(scene, term, (expected, found) => {
    throw new Error(`NamedThings: (${term.join(" ")}): expected ${expected}, found ${found}`);
  });
  const [object, destination] = namesIn(term).map((name) => placeOf(scene, sim, name));
  if (what.kind !== "joints") return [object, destination];
  const [low, high] = what.range;
  return [object, moved(sim, object, what.joints[0], (low + high) / 2)];
}

function placeOf(scene: Scene, sim: Sim, name: string): Place {
  if (scene.sites.some((region) => region.name === name)) return site(sim, name);
  // A scene's goal names nothing else.
  const { kind, joints, rootBody } = scene.objects.find((object) => object.name === name) as SceneObject;
  const opens = kind === "fixture" && joints.length > 0;
  return body(sim, opens ? sim.model.jnt_bodyid[sim.id("joint", joints[0])] : sim.id("body", rootBody));
}

function site(sim: Sim, name: string): Place {
  const id = sim.id("site", name);
  return () => triple(sim.views.sitePos, id);
}

function body(sim: Sim, id: number): Place {
  return () => triple(sim.views.bodyPos, id);
}

/** Where a place that moves with a joint would be if the joint stood at `value`. */
function moved(sim: Sim, place: Place, joint: string, value: number): Place {
  const id = sim.id("joint", joint);
  const address = sim.qposAddress(joint);
  const slides = sim.model.jnt_type[id] === sim.mj.mjtJoint.mjJNT_SLIDE.value;
  const turn = new Float64Array(9);
  return () => {
    const way = value - sim.views.qpos[address];
    const [x, y, z] = triple(sim.data.xaxis, id);
    const at = place();
    if (slides) return [at[0] + way * x, at[1] + way * y, at[2] + way * z];
    const anchor = triple(sim.data.xanchor, id);
    const [dx, dy, dz] = [0, 1, 2].map((k) => at[k] - anchor[k]);
    rotationVectorMatrix(turn, way * x, way * y, way * z);
    const row = (k: number): number =>
      anchor[k] + turn[3 * k] * dx + turn[3 * k + 1] * dy + turn[3 * k + 2] * dz;
    return [row(0), row(1), row(2)];
  };
}

const triple = (numbers: Float64Array, id: number): Vector => [
  numbers[3 * id],
  numbers[3 * id + 1],
  numbers[3 * id + 2],
];
