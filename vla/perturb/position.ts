import type { ResetDraws } from "../libero/compose/reset-draws.ts";
import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";

/** Per level, metres. LIBERO-plus's files move targets by about 1 cm per level, LIBERO-PRO's by 10 to 50 cm. */
const STEP = 0.02;

/** In the plane of the workspace, metres. */
export type Move = readonly [x: number, y: number];

/** One move for each of several groups, in directions of their own: 2 cm per level. */
export function drawMoves(groups: number, level: Level, draws: Mt19937): Move[] {
  return Array.from({ length: groups }, () => {
    const angle = draws.uniform(0, 2 * Math.PI);
    return [STEP * level * Math.cos(angle), STEP * level * Math.sin(angle)];
  });
}

/**
 * What moves as one: each thing of interest with what it stands on or in, down to the workspace, and with all that
 * stands on that. Where nothing of interest has a place, everything does.
 *
 * @param interest names of `:obj_of_interest`.
 */
export function groupsOf({ places }: ResetDraws, interest: readonly string[]): string[][] {
  const below = new Map(
    places.map(({ object, origin }) => [
      object.facts.name,
      origin.kind === "workspace" ? null : origin.kind === "on" ? origin.object : origin.object.facts.name,
    ]),
  );
  const baseOf = (name: string): string => {
    const support = below.get(name);
    return support ? baseOf(support) : name;
  };
  const placed = interest.filter((name) => below.has(name));
  const bases = new Set((placed.length > 0 ? placed : [...below.keys()]).map(baseOf));
  return [...bases].map((base) => [...below.keys()].filter((name) => baseOf(name) === base));
}
