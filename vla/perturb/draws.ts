import { createHash } from "node:crypto";
import { Mt19937 } from "../libero/mt19937.ts";
import type { Dimension } from "./dimensions.ts";

/** What makes an episode's perturbations these and no others, its levels apart. */
export interface EpisodeName {
  /** The run's. */
  readonly seed: number;
  readonly suite: string;
  readonly task: string;
  /** Index of the stored initial state. */
  readonly init: number;
}

/**
 * The random numbers of one dimension in one episode. The level is no part of the key: at another level the same
 * episode goes the same way, only further, so that what is lost from level to level is not luck.
 *
 * @param attempt counts draws that were given up before this one.
 */
export function drawsOf(
  dimension: Dimension,
  { seed, suite, task, init }: EpisodeName,
  attempt = 0,
): Mt19937 {
  const key = JSON.stringify([dimension, seed, suite, task, init, attempt]);
  return new Mt19937(createHash("sha256").update(key).digest().readUInt32LE(0));
}

/** A direction, uniform on the unit sphere of `size` dimensions. */
export function unitVector(draws: Mt19937, size: number): number[] {
  const vector = Array.from({ length: size }, () => draws.gauss());
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

/** −1 or 1. */
export function sign(draws: Mt19937): number {
  return draws.integer(2) === 0 ? -1 : 1;
}
