import { rotate } from "../libero/compose/object.ts";
import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";
import { sign } from "./draws.ts";
import { turnAbout, type Vector } from "./quaternion.ts";

/** One light of the model; the camera's headlight has no place of its own. */
export interface Light {
  readonly place: { readonly pos: Vector; readonly dir: Vector } | null;
  /** RGB each. */
  readonly ambient: Vector;
  readonly diffuse: Vector;
  readonly specular: Vector;
}

/** How lights were changed. */
export interface LightChange {
  /** About a horizontal axis through the middle of the workspace, degrees. */
  readonly swing: number;
  /** Brightness of red, green and blue, as factors. */
  readonly gain: Vector;
}

/** Per level; LIBERO-plus states no ranges. */
const SWING = 10;
const GAIN = 1.2;
const TINT = 0.08;

/** All lights of a scene, swung by 10 degrees, brighter or darker by 20 % and tinted by 8 % per level. */
export function perturbLights(
  lights: readonly Light[],
  centre: Vector,
  level: Level,
  draws: Mt19937,
): { readonly lights: Light[]; readonly change: LightChange } {
  const angle = draws.uniform(0, 2 * Math.PI);
  const brightness = GAIN ** (level * sign(draws));
  // Colours on a circle: what one channel wins, the others lose.
  const hue = draws.uniform(0, 2 * Math.PI);
  const gain = [0, 1, 2].map(
    (k) => brightness * (1 + TINT * level * Math.cos(hue + (2 * Math.PI * k) / 3)),
  ) as unknown as Vector;
  const swing = turnAbout([Math.cos(angle), Math.sin(angle), 0], SWING * level);
  const scaled = (colour: Vector) => colour.map((x, k) => x * gain[k]) as unknown as Vector;
  return {
    lights: lights.map(({ place, ambient, diffuse, specular }) => ({
      place: place && {
        pos: around(centre, place.pos, (arm) => rotate(swing, arm)),
        dir: rotate(swing, place.dir),
      },
      ambient: scaled(ambient),
      diffuse: scaled(diffuse),
      specular: scaled(specular),
    })),
    change: { swing: SWING * level, gain },
  };
}

function around(centre: Vector, point: Vector, turn: (arm: Vector) => Vector): Vector {
  const arm = turn(point.map((p, k) => p - centre[k]) as unknown as Vector);
  return arm.map((p, k) => p + centre[k]) as unknown as Vector;
}
