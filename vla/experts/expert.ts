import { EnvError } from "../libero/env-error.ts";
import { type Predicate, Predicates } from "../libero/predicates.ts";
import type { Scene, Term } from "../libero/scene.ts";
import type { Sim } from "../libero/sim.ts";
import { type ResolvedTerm, resolveTerm } from "../libero/terms.ts";
import { GRASPS, ROUND_AND_FLAT, SURFACES } from "./grasps.ts";
import { type Action, type EndlessSkill, OPEN, type Skill } from "./hand.ts";
import { KNOBS, PULLS } from "./handles.ts";
import { pullOpen, turnKnob } from "./joints.ts";
import { type Place, pickAndPlace } from "./pick-and-place.ts";
import { push } from "./push.ts";
import type { Vector } from "./vector.ts";
import { World } from "./world.ts";

/** Something to bring about. */
interface Aim {
  readonly holds: Predicate;
  /** One attempt. */
  readonly attempt: () => Skill;
}

/**
 * A scripted expert for LIBERO's goals: it looks at the simulator's true poses and plans from the goal's terms. It
 * speaks through the same seven action numbers as any policy, so its episodes can be recorded as demonstrations. Equal
 * seeds and equal worlds give equal actions.
 */
export class GoalExpert {
  readonly #world: World;
  readonly #skill: EndlessSkill;

  /**
   * @param sim the simulator of the running episode, read before every action and never written.
   * @param seed varies heights, speeds and tremor: an integer in [0, 2³²).
   * @throws EnvError for a goal that it has no skill for.
   */
  constructor(scene: Scene, sim: Sim, seed: number) {
    this.#world = new World(scene, sim, seed);
    const predicates = new Predicates(scene, sim);
    this.#skill = pursue(
      this.#world,
      scene.goal.map((term) => aimOf(this.#world, predicates, term)),
    );
  }

  /** The next action, (7), each in [-1, 1], for the world as it is now. */
  act(): Action {
    return this.#skill.next().value;
  }

  /** What it is about to do, and what went wrong before that, each once. */
  get account(): string {
    const { stage, troubles } = this.#world;
    return [...new Set(troubles), stage].join("; ");
  }
}

/** Attempts what does not hold, one aim after the other, again and again. */
function* pursue(world: World, aims: readonly Aim[]): EndlessSkill {
  const { hand } = world;
  for (;;) {
    const next = aims.find(({ holds }) => !holds());
    if (next) yield* next.attempt();
    // Also after an attempt that ended at once, so the world moves on.
    yield hand.towards(hand.tip(), hand.yaw(), OPEN);
  }
}

function aimOf(world: World, predicates: Predicates, term: Term): Aim {
  const fail = (expected: string, found: string): never => {
    throw new EnvError(`GoalExpert: (${term.join(" ")})`, expected, found);
  };
  const what = resolveTerm(world.scene, term, fail);
  const holds = predicates.compile(term);
  if (what.kind === "joints") {
    const move = moveOf(world, what, holds);
    return move ? { holds, attempt: move } : fail("a joint that a skill moves so", what.joints.join(", "));
  }
  const { object } = what;
  if (what.kind === "on site" && Object.hasOwn(ROUND_AND_FLAT, object.category)) {
    const radius = ROUND_AND_FLAT[object.category];
    return { holds, attempt: () => push(world, object, radius, world.site(what.site.name), holds) };
  }
  if (!Object.hasOwn(GRASPS, object.category))
    return fail(`a thing of ${Object.keys(GRASPS).join(", ")}`, object.category);
  const place = placeOf(world, what);
  const open = openingOf(world, predicates, what);
  return {
    holds,
    attempt: () => (open === null || open.holds() ? pickAndPlace(world, object, place) : open.attempt()),
  };
}

/** What brings a joint of a fixture into a state; null if there is no skill for it. */
function moveOf(
  world: World,
  { state, joints }: Extract<ResolvedTerm, { kind: "joints" }>,
  holds: Predicate,
): (() => Skill) | null {
  for (const { name, category } of world.scene.objects) {
    const pull = PULLS[category]?.find(({ joint }) => joints.includes(`${name}_${joint}`));
    if (pull && state === "open") return () => pullOpen(world, name, pull, holds);
    const knob = KNOBS[category];
    if (knob && joints.includes(`${name}_${knob.joint}`) && (state === "turnon" || state === "turnoff"))
      return () => turnKnob(world, name, knob, state === "turnon" ? 1 : -1, holds);
  }
  return null;
}

/** The drawer to open before something is put in it; null where none is in the way. */
function openingOf(world: World, predicates: Predicates, what: ResolvedTerm): Aim | null {
  const inDrawer = what.kind === "in site" && what.site.joints !== null && what.site.joints.length > 0;
  return inDrawer ? aimOf(world, predicates, ["open", what.site.name]) : null;
}

function placeOf(world: World, what: Exclude<ResolvedTerm, { kind: "joints" }>): Place {
  const { hand, shapes } = world;
  switch (what.kind) {
    case "on object": {
      const { name, category, rootBody } = what.support;
      const surface = SURFACES[category];
      const spot = (): Vector => {
        const [x, y, z] = hand.position(rootBody);
        return [x, y, surface === undefined ? shapes.highest(name) : z + surface];
      };
      return { spot, drop: 0.012 };
    }
    case "on site":
      return { spot: () => world.site(what.site.name), drop: 0.012 };
    case "in site":
      return { spot: () => world.site(what.site.name), drop: 0.02 };
  }
}
