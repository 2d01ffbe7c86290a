import { EnvError } from "./env-error.ts";
import type { Scene, SceneObject, SceneSite, Term } from "./scene.ts";
import type { Sim } from "./sim.ts";
import { type JointState, type ResolvedTerm, resolveTerm } from "./terms.ts";

/** Whether a term holds now. */
export type Predicate = () => boolean;

/** Objects resting on each other are at most this far apart in the plane, metres. */
const ON_RADIUS = 0.03;
/** An object on a site is between 5 mm below its upper face and 10 cm above it, metres. */
const ON_SITE_BELOW = 0.005;
const ON_SITE_ABOVE = 0.1;
/** How far below a region an object in it may be, metres. */
const IN_BELOW = 0.01;

/** Whether one joint in that state is enough or all have to be, and which values count. */
const JOINT_STATES: Readonly<
  Record<
    JointState,
    readonly [
      quantifier: "some" | "every",
      holds: (q: number, range: readonly [low: number, high: number]) => boolean,
    ]
  >
> = {
  open: ["some", (q, [, high]) => q < high],
  close: ["every", (q, [low]) => q > low],
  turnon: ["some", (q, [low]) => q >= low],
  turnoff: ["every", (q, [, high]) => q < high],
};

/**
 * LIBERO's predicates over one scene. All read what the simulator derived from the state, which after a control
 * step is one substep old. Nothing is remembered: a term that held may fail again.
 */
export class Predicates {
  readonly #scene: Scene;
  readonly #sim: Sim;
  /** Index in `scene.objects` of the object each geom belongs to as far as contacts go; -1 for none. */
  readonly #owner: Int16Array;

  constructor(scene: Scene, sim: Sim) {
    this.#scene = scene;
    this.#sim = sim;
    this.#owner = new Int16Array(sim.ngeom).fill(-1);
    scene.objects.forEach((object, index) => {
      for (const geom of object.contactGeoms) this.#owner[sim.id("geom", geom)] = index;
    });
  }

  /**
   * The test of one term, names resolved.
   *
   * @throws EnvError for an unknown predicate or name, or a thing the predicate does not apply to.
   */
  compile(term: Term): Predicate {
    const what = this.#resolve(term);
    switch (what.kind) {
      case "on object":
        return this.#onObject(what.object, what.support);
      case "on site":
        return this.#onSite(what.object, what.site, what.owner);
      case "in site":
        return this.#inSite(what.object, what.site, [0, 1, 2]);
      case "joints":
        return this.#joints(what.joints, what.state, what.range);
    }
  }

  /**
   * Whether the term holds as far as that is seen from above: heights and contacts do not count. So much can be said of
   * a state in which objects still hang over their supports.
   *
   * @throws EnvError as `compile`.
   */
  compileFromAbove(term: Term): Predicate {
    const what = this.#resolve(term);
    switch (what.kind) {
      case "on object":
        return this.#near(what.object, what.support);
      case "on site":
        return this.#overSite(what.object, what.site);
      case "in site":
        return this.#inSite(what.object, what.site, [0, 1]);
      case "joints":
        return this.#joints(what.joints, what.state, what.range);
    }
  }

  #resolve(term: Term): ResolvedTerm {
    return resolveTerm(this.#scene, term, (expected, found) => {
      throw new EnvError(`Predicates: (${term.join(" ")})`, expected, found);
    });
  }

  /** on(a, b): a is above b, touches it and is at most 3 cm off in the plane. */
  #onObject(a: SceneObject, b: SceneObject): Predicate {
    const [bodyA, bodyB] = [this.#sim.id("body", a.rootBody), this.#sim.id("body", b.rootBody)];
    const [near, touch] = [this.#near(a, b), this.#touch(a, b)];
    return () => {
      const p = this.#sim.views.bodyPos;
      return p[3 * bodyB + 2] <= p[3 * bodyA + 2] && near() && touch();
    };
  }

  #near(a: SceneObject, b: SceneObject): Predicate {
    const [bodyA, bodyB] = [this.#sim.id("body", a.rootBody), this.#sim.id("body", b.rootBody)];
    return () => {
      const p = this.#sim.views.bodyPos;
      return Math.hypot(p[3 * bodyA] - p[3 * bodyB], p[3 * bodyA + 1] - p[3 * bodyB + 1]) < ON_RADIUS;
    };
  }

  /** on(a, site): a is over the site's box, near its upper face, and touches the object the site belongs to, if any. */
  #onSite(a: SceneObject, site: SceneSite, owner: SceneObject | null): Predicate {
    const [height, over] = [this.#offset(a, site, 2), this.#overSite(a, site)];
    const touch = owner === null ? () => true : this.#touch(a, owner);
    const top = site.size[2];
    return () => {
      const z = height();
      return top - ON_SITE_BELOW < z && z < top + ON_SITE_ABOVE && over() && touch();
    };
  }

  #overSite(a: SceneObject, site: SceneSite): Predicate {
    const [x, y] = [this.#offset(a, site, 0), this.#offset(a, site, 1)];
    const h = site.size;
    return () => Math.abs(x()) < h[0] && Math.abs(y()) < h[1];
  }

  /** How far the origin of a is from the site along axis i of its frame, metres. */
  #offset(a: SceneObject, site: SceneSite, i: number): () => number {
    const body = this.#sim.id("body", a.rootBody);
    const id = this.#sim.id("site", site.name);
    return () => {
      const { bodyPos: p, sitePos, siteMat: m } = this.#sim.views;
      const dx = p[3 * body] - sitePos[3 * id];
      const dy = p[3 * body + 1] - sitePos[3 * id + 1];
      const dz = p[3 * body + 2] - sitePos[3 * id + 2];
      // The reference multiplies by the site's rotation where its transpose would lead into the site's frame.
      const row = 9 * id + 3 * i;
      return m[row] * dx + m[row + 1] * dy + m[row + 2] * dz;
    };
  }

  /** in(a, site): the origin of a is inside the site's box, turned into the world's axes, or up to 1 cm below it. */
  #inSite(a: SceneObject, site: SceneSite, axes: readonly number[]): Predicate {
    const body = this.#sim.id("body", a.rootBody);
    const id = this.#sim.id("site", site.name);
    const h = site.size;
    return () => {
      const { bodyPos: p, sitePos, siteMat: m } = this.#sim.views;
      return axes.every((i) => {
        const at = 9 * id + 3 * i;
        const half = Math.abs(m[at] * h[0] + m[at + 1] * h[1] + m[at + 2] * h[2]);
        const offset = p[3 * body + i] - sitePos[3 * id + i];
        return offset > -half - (i === 2 ? IN_BELOW : 0) && offset < half;
      });
    };
  }

  #joints(joints: readonly string[], state: JointState, range: readonly [number, number]): Predicate {
    const [quantifier, holds] = JOINT_STATES[state];
    const addresses = joints.map((joint) => this.#sim.qposAddress(joint));
    return () => {
      const { qpos } = this.#sim.views;
      return addresses[quantifier]((address) => holds(qpos[address], range));
    };
  }

  #touch(a: SceneObject, b: SceneObject): Predicate {
    const [indexA, indexB] = [this.#scene.objects.indexOf(a), this.#scene.objects.indexOf(b)];
    return () => this.#sim.touching(this.#owner, indexA, indexB);
  }
}
