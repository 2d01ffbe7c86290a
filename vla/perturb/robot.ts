import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";
import { unitVector } from "./draws.ts";

/** Per level, radians: LIBERO-plus's five bands. */
const ANGLE = 0.1;

/** Joint angles, radians, pushed in a direction of joint space: by 0.1 rad per level in all. */
export function perturbArm(angles: readonly number[], level: Level, draws: Mt19937): number[] {
  const direction = unitVector(draws, angles.length);
  return angles.map((angle, i) => angle + ANGLE * level * direction[i]);
}
