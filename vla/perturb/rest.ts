import type { LiberoEnv } from "../libero/env.ts";
import type { Action } from "../libero/protocols.ts";

const HOLD: Action = [0, 0, 0, 0, 0, 0, 0];
/** Control steps until things are looked at: a second. */
const STEPS = 20;
/** How far from where it should be a thing may be, metres; how fast it may be, metres per second. */
const ASIDE = 0.015;
const SPEED = 0.02;
/**
 * What was put somewhere falls there and may roll a little, metres: LIBERO's objects are not as deep as their sites
 * say, and fall by up to 10 cm.
 */
const DROP = { aside: 0.03, fall: 0.12 };

export type Position = readonly [x: number, y: number, z: number];

/** Where a thing should be after a second: there, or on what is below it. */
export interface Expected {
  readonly at: Position;
  readonly dropped: boolean;
}

/** Where the things of a scene are, and how fast, a second after its start. */
export interface Rest {
  readonly things: ReadonlyMap<string, { readonly at: Position; readonly speed: number }>;
  /** Whether the goal holds. */
  readonly success: boolean;
}

/** Waits for a second, the robot holding still. */
export function comeToRest(env: LiberoEnv): Rest {
  let success = false;
  for (let i = 0; i < STEPS; i++) ({ success } = env.advance(HOLD));
  const { sim, scene } = env;
  const { bodyPos, qvel } = sim.views;
  const things = scene.objects.map(({ name, kind, rootBody, joints }) => {
    const body = sim.id("body", rootBody);
    const at: Position = [bodyPos[3 * body], bodyPos[3 * body + 1], bodyPos[3 * body + 2]];
    const dof = kind === "object" ? sim.dofAddress(joints[0]) : null;
    return [name, { at, speed: dof === null ? 0 : Math.hypot(...qvel.subarray(dof, dof + 3)) }] as const;
  });
  return { things: new Map(things), success };
}

/**
 * What is not as it should be after a second; null if nothing is.
 *
 * @param expected where things should be.
 * @param usual the same second without perturbations: what rolls in it may roll here.
 */
export function restFault(found: Rest, expected: ReadonlyMap<string, Expected>, usual: Rest): string | null {
  if (found.success && !usual.success) return "the goal holds at once";
  for (const [name, { at, speed }] of found.things) {
    if (isAstray(at, expected.get(name)!)) return `${name} does not stay where it was put`;
    if (speed > Math.max(SPEED, 1.5 * usual.things.get(name)!.speed)) return `${name} does not come to rest`;
  }
  return null;
}

function isAstray(at: Position, { at: place, dropped }: Expected): boolean {
  const [dx, dy, dz] = at.map((x, k) => x - place[k]);
  return dropped
    ? Math.hypot(dx, dy) > DROP.aside || dz > ASIDE || dz < -DROP.fall
    : Math.hypot(dx, dy, dz) > ASIDE;
}
