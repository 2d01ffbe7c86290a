/**
 * Where a hand that points down takes and rests things, by category: lengths in metres, in the frame of the thing's
 * body.
 */
import type { Vector } from "./vector.ts";

/** Where the grip site goes, and what the fingers close across. */
export type Grasp =
  /** Over the wall of a vessel, anywhere around it. */
  | { readonly kind: "rim"; readonly radius: number; readonly height: number }
  /** About something round, from any side. */
  | { readonly kind: "round"; readonly at: Vector }
  /** Between two faces, across one of these axes. */
  | { readonly kind: "sides"; readonly at: Vector; readonly across: readonly Vector[] };

const X: Vector = [1, 0, 0];
const Y: Vector = [0, 1, 0];
const Z: Vector = [0, 0, 1];

/**
 * How each thing is taken. The fingertips reach 1.5 cm further than the grip site, so what is flat is taken above its
 * middle; the palm is 3 cm above it, so what is tall is taken near its top. Open fingers are 8 cm apart: boxes are
 * taken across a side of 5.2 cm at most, cans across 6.2 cm.
 */
export const GRASPS: Readonly<Record<string, Grasp>> = {
  akita_black_bowl: { kind: "rim", radius: 0.0485, height: 0.037 },
  // Flat boxes, across the narrower of the two sides that stand upright.
  cream_cheese: { kind: "sides", at: [0, 0, 0.006], across: [Y] },
  butter: { kind: "sides", at: [0, 0, 0.006], across: [Y] },
  chocolate_pudding: { kind: "sides", at: [0, 0, 0.004], across: [Y] },
  // Cans, which stand along their y.
  alphabet_soup: { kind: "round", at: [0, 0.012, -0.003] },
  tomato_sauce: { kind: "round", at: [0, 0.012, -0.003] },
  // Cartons, which stand along their y.
  milk: { kind: "sides", at: [0, 0.031, 0], across: [X, Z] },
  orange_juice: { kind: "sides", at: [0, 0.031, 0], across: [X, Z] },
  // Bottles, below the cap.
  salad_dressing: { kind: "round", at: [0, 0.047, 0] },
  ketchup: { kind: "sides", at: [0, 0.047, 0], across: [X, Z] },
  bbq_sauce: { kind: "sides", at: [0, 0, 0.026], across: [X, Y] },
  // The embedded suite's blocks.
  red_block: { kind: "sides", at: [0, 0, 0.002], across: [X, Y] },
  green_block: { kind: "sides", at: [0, 0, 0.002], across: [X, Y] },
  blue_block: { kind: "sides", at: [0, 0, 0.002], across: [X, Y] },
  wine_bottle: { kind: "round", at: [0, 0, 0.132] },
};

/** Height of what other things rest on, above the origin of the thing that bears them. */
export const SURFACES: Readonly<Record<string, number>> = {
  plate: 0.006,
  akita_black_bowl: 0.02,
};

/** Radius of what lies too low to be taken and is pushed over the table. */
export const ROUND_AND_FLAT: Readonly<Record<string, number>> = { plate: 0.065 };
