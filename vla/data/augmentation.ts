import { checkFinite, checkInteger, type Random, refuse } from "../../core/index.ts";
import { CAMERAS, type Camera } from "./demonstrations.ts";

/** Random changes of the pictures. Each camera of each example draws its own. */
export interface Augmentation {
  /**
   * Most pixels, of the size that the encoder takes, by which each camera's picture moves along each axis, either way.
   */
  readonly pads: Readonly<Record<Camera, number>>;
  /** Brightness: least and most factor on levels in [0, 1]; what exceeds 1 is cut off. */
  readonly gain: readonly [number, number];
}

/** The pictures as they are. */
export const PLAIN: Augmentation = { pads: { agentview: 0, wrist: 0 }, gain: [1, 1] };

/** How one picture is changed; see `processImage`. */
export interface Change {
  readonly dx: number;
  readonly dy: number;
  readonly gain: number;
}

/** No change. */
export const UNCHANGED: Readonly<Record<Camera, Change>> = {
  agentview: { dx: 0, dy: 0, gain: 1 },
  wrist: { dx: 0, dy: 0, gain: 1 },
};

/** Changes of one example, one per camera: shifts uniform over whole pixels, then the gain uniform between its ends. */
export function drawChanges({ pads, gain }: Augmentation, random: Random): Record<Camera, Change> {
  const draw = (camera: Camera): Change => {
    const shift = (): number => random.integer(2 * pads[camera] + 1) - pads[camera];
    return { dx: shift(), dy: shift(), gain: gain[0] + (gain[1] - gain[0]) * random.uniform() };
  };
  return { agentview: draw("agentview"), wrist: draw("wrist") };
}

/** Throws for pads that a batch's bytes cannot tell, and for gains that are none. */
export function checkAugmentation({ pads, gain }: Augmentation, who: string): void {
  for (const camera of CAMERAS) checkInteger(pads[camera], 0, who, `the pad of ${camera}`, 127);
  for (const factor of gain) checkFinite(factor, who, "gain", 0);
  if (gain[0] > gain[1]) refuse(who, "a gain from least to most", [...gain]);
}
