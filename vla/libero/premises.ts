import type { Predicate, Predicates } from "./predicates.ts";
import type { Scene, Term } from "./scene.ts";
import type { Sim } from "./sim.ts";
import { resolveTerm } from "./terms.ts";

/** Objects that settle move less in the plane, and rise less: some start up to 4 cm inside their supports. Metres. */
const MOVED = 0.02;
const RISEN = 0.1;

/** A term of `:init` about something that moves. */
interface Premise {
  readonly term: Term;
  readonly fromAbove: Predicate;
  /** Body of the object it is about; null for one about joints. */
  readonly body: number | null;
}

/**
 * What a task says of where its objects are when an episode begins (`:init`), and whether the physics keeps to it.
 *
 * Stored states are not at rest: objects fall onto their supports, or are pushed out of them, in the first control
 * steps. A simulator other than the one the states were made with may throw them far away, and then another task is
 * played. A term is a premise of an episode if it holds in its stored state, seen from above: some regions are so small
 * that many stored states lie outside. It is lost when it no longer holds, and the object has moved by more than 2 cm,
 * or when the object rose by more than 10 cm.
 */
export class Premises {
  readonly #sim: Sim;
  readonly #all: readonly Premise[];
  /** Those of the episode, and where their objects began. */
  #ofEpisode: readonly (readonly [premise: Premise, start: readonly number[]])[] = [];

  constructor({ init, objects, sites }: Scene, sim: Sim, predicates: Predicates) {
    this.#sim = sim;
    this.#all = init.flatMap((term): Premise[] => {
      const what = resolveTerm({ objects, sites }, term, (expected, found) => {
        throw new Error(`Premises: (${term.join(" ")}): expected ${expected}, found ${found}`);
      });
      const fromAbove = predicates.compileFromAbove(term);
      if (what.kind === "joints") return [{ term, fromAbove, body: null }];
      if (what.object.kind === "fixture") return []; // a reset places it
      return [{ term, fromAbove, body: sim.id("body", what.object.rootBody) }];
    });
  }

  /** Looks at a stored state that was just set. */
  note(): void {
    this.#ofEpisode = this.#all
      .filter(({ fromAbove }) => fromAbove())
      .map((premise) => [premise, this.#position(premise)]);
  }

  /** Premises that are lost now. */
  lost(): Term[] {
    return this.#ofEpisode
      .filter(([premise, start]) => {
        const { fromAbove, body } = premise;
        if (body === null) return !fromAbove();
        const [dx, dy, dz] = this.#position(premise).map((x, i) => x - start[i]);
        return (!fromAbove() && Math.hypot(dx, dy) > MOVED) || dz > RISEN;
      })
      .map(([{ term }]) => term);
  }

  #position({ body }: Premise): readonly number[] {
    return body === null ? [0, 0, 0] : [...this.#sim.views.bodyPos.subarray(3 * body, 3 * body + 3)];
  }
}
