import { EnvError } from "./env-error.ts";
import type { Scene, SceneObject, SceneSite, Term } from "./scene.ts";
import type { Sim } from "./sim.ts";

/** Whether a term holds now. */
export type Predicate = () => boolean;

/** Objects resting on each other are at most this far apart in the plane, metres. */
const ON_RADIUS = 0.03;
/** An object on a site is between 5 mm below its upper face and 10 cm above it, metres. */
const ON_SITE_BELOW = 0.005;
const ON_SITE_ABOVE = 0.1;
/** How far below a region an object in it may be, metres. */
const IN_BELOW = 0.01;

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
    const [predicate, ...names] = term;
    const arity = predicate === "on" || predicate === "in" ? 2 : 1;
    if (names.length !== arity)
      throw this.#error(term, `${arity} argument${arity > 1 ? "s" : ""}`, `${names.length}`);
    switch (predicate) {
      case "on": {
        const site = this.#findSite(names[1]);
        return site ? this.#onSite(term, site) : this.#onObject(term);
      }
      case "in":
        return this.#inSite(term);
      case "open":
        return this.#joints(term, "open", "some", (q, [, high]) => q < high);
      case "close":
        return this.#joints(term, "close", "every", (q, [low]) => q > low);
      case "turnon":
        return this.#joints(term, "turnon", "some", (q, [low]) => q >= low);
      case "turnoff":
        return this.#joints(term, "turnoff", "every", (q, [, high]) => q < high);
      default:
        throw this.#error(term, "one of on, in, open, close, turnon, turnoff", `"${predicate}"`);
    }
  }

  /** on(a, b): a is above b, touches it and is at most 3 cm off in the plane. */
  #onObject(term: Term): Predicate {
    const a = this.#object(term, term[1]);
    const b = this.#object(term, term[2]);
    const [bodyA, bodyB] = [this.#sim.id("body", a.rootBody), this.#sim.id("body", b.rootBody)];
    const touch = this.#touch(a, b);
    return () => {
      const p = this.#sim.views.bodyPos;
      const dx = p[3 * bodyA] - p[3 * bodyB];
      const dy = p[3 * bodyA + 1] - p[3 * bodyB + 1];
      return p[3 * bodyB + 2] <= p[3 * bodyA + 2] && Math.hypot(dx, dy) < ON_RADIUS && touch();
    };
  }

  /** on(a, site): a is over the site's box, near its upper face, and touches the object the site belongs to, if any. */
  #onSite(term: Term, site: SceneSite): Predicate {
    const a = this.#object(term, term[1]);
    const body = this.#sim.id("body", a.rootBody);
    const id = this.#sim.id("site", site.name);
    const touch = site.parent === null ? () => true : this.#touch(a, this.#object(term, site.parent));
    const h = site.size;
    return () => {
      const { bodyPos: p, sitePos, siteMat: m } = this.#sim.views;
      const dx = p[3 * body] - sitePos[3 * id];
      const dy = p[3 * body + 1] - sitePos[3 * id + 1];
      const dz = p[3 * body + 2] - sitePos[3 * id + 2];
      // The reference multiplies by the site's rotation where its transpose would lead into the site's frame.
      const row = (i: number) =>
        m[9 * id + 3 * i] * dx + m[9 * id + 3 * i + 1] * dy + m[9 * id + 3 * i + 2] * dz;
      const z = row(2);
      return (
        h[2] - ON_SITE_BELOW < z &&
        z < h[2] + ON_SITE_ABOVE &&
        Math.abs(row(0)) < h[0] &&
        Math.abs(row(1)) < h[1] &&
        touch()
      );
    };
  }

  /** in(a, site): the origin of a is inside the site's box, turned into the world's axes, or up to 1 cm below it. */
  #inSite(term: Term): Predicate {
    const site = this.#findSite(term[2]);
    if (!site) throw this.#error(term, "a site of the scene", `"${term[2]}"`);
    const body = this.#sim.id("body", this.#object(term, term[1]).rootBody);
    const id = this.#sim.id("site", site.name);
    const h = site.size;
    return () => {
      const { bodyPos: p, sitePos, siteMat: m } = this.#sim.views;
      for (let i = 0; i < 3; i++) {
        const at = 9 * id + 3 * i;
        const half = Math.abs(m[at] * h[0] + m[at + 1] * h[1] + m[at + 2] * h[2]);
        const offset = p[3 * body + i] - sitePos[3 * id + i];
        if (offset <= -half - (i === 2 ? IN_BELOW : 0) || offset >= half) return false;
      }
      return true;
    };
  }

  /** A predicate over the joints of an object, or of the body that holds a site. */
  #joints(
    term: Term,
    range: "open" | "close" | "turnon" | "turnoff",
    quantifier: "some" | "every",
    holds: (q: number, range: readonly [number, number]) => boolean,
  ): Predicate {
    const site = this.#findSite(term[1]);
    const object = this.#object(term, site ? (site.parent ?? site.name) : term[1]);
    const joints = site ? (site.joints ?? []) : object.joints;
    const limits = object.articulation?.[range];
    if (!limits || joints.length === 0)
      throw this.#error(term, `a thing with joints that ${range}`, `"${term[1]}" (${object.category})`);
    const addresses = joints.map((joint) => this.#sim.qposAddress(joint));
    return () => {
      const { qpos } = this.#sim.views;
      return addresses[quantifier]((address) => holds(qpos[address], limits));
    };
  }

  #touch(a: SceneObject, b: SceneObject): Predicate {
    const [indexA, indexB] = [this.#scene.objects.indexOf(a), this.#scene.objects.indexOf(b)];
    return () => this.#sim.touching(this.#owner, indexA, indexB);
  }

  #findSite(name: string): SceneSite | undefined {
    return this.#scene.sites.find((site) => site.name === name);
  }

  #object(term: Term, name: string): SceneObject {
    const object = this.#scene.objects.find((object) => object.name === name);
    if (!object) throw this.#error(term, "an object, fixture or site of the scene", `"${name}"`);
    return object;
  }

  #error(term: Term, expected: string, found: string): EnvError {
    return new EnvError(`Predicates: (${term.join(" ")})`, expected, found);
  }
}
