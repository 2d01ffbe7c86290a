/**
 * What LIBERO knows about object categories beyond their XML. A category that is not listed gets the defaults:
 * it stands upright, has nothing to open and shows no state.
 */

export type Range = readonly [number, number];

/**
 * How a movable object is turned when it is placed: angles, radians, drawn about axes one after the other.
 *
 * The axes are LIBERO's names and do not mean what they say: it builds the quaternion as xyzw, MuJoCo reads it as wxyz
 * (see placement.ts). So "x" leaves an object upright whatever the angle (0: half a turn about the vertical, π/2: a
 * quarter turn), and "z" is for meshes whose y axis points up.
 */
export type Rotation = readonly (readonly [axis: "x" | "y" | "z", angles: Range])[];

export interface Category {
  readonly rotation: Rotation;
  /** Joint values that are drawn when `:init` asks for the state; radians or metres. */
  readonly articulation: Readonly<Partial<Record<"open" | "close" | "turnon" | "turnoff", Range>>> | null;
  /** Sites that show the state, role → site in the object's XML. */
  readonly stateSites: Readonly<Record<string, string>>;
}

const QUARTER = Math.PI / 2;
const EIGHTH = Math.PI / 4;

const about = (axis: "x" | "y" | "z", low: number, high = low): Rotation => [[axis, [low, high]]];
const facing = about("x", QUARTER);
const bottle: Rotation = [...about("x", QUARTER), ...about("z", QUARTER)];
/** Up to 17 degrees to either side. */
const BLOCK = about("x", -0.3, 0.3);
const plain = (rotation: Rotation): Category => ({ rotation, articulation: null, stateSites: {} });

const DEFAULT = plain(about("x", 0));

const CABINET: Category = {
  rotation: about("x", EIGHTH, QUARTER),
  articulation: { open: [-0.16, -0.14], close: [0, 0.005] },
  stateSites: {},
};

const CATEGORIES: Readonly<Record<string, Category>> = {
  wooden_cabinet: CABINET,
  white_cabinet: CABINET,
  microwave: { ...CABINET, articulation: { open: [-2.094, -1.3], close: [-0.005, 0] } },
  flat_stove: {
    rotation: about("y", 0),
    articulation: { turnon: [0.5, 2.1], turnoff: [-0.005, 0] },
    stateSites: { burner: "burner" },
  },
  akita_black_bowl: plain(facing),
  alphabet_soup: plain(about("z", QUARTER)),
  basket: plain(facing),
  bbq_sauce: plain(facing),
  black_book: plain(about("x", -QUARTER, -EIGHTH)),
  chefmate_8_frypan: plain(facing),
  cookies: plain(facing),
  glazed_rim_porcelain_ramekin: plain(facing),
  ketchup: plain(bottle),
  milk: plain(bottle),
  new_salad_dressing: plain(bottle),
  orange_juice: plain(bottle),
  plate: plain(facing),
  porcelain_mug: plain(about("x", -QUARTER)),
  red_coffee_mug: plain(about("x", -QUARTER)),
  salad_dressing: plain(bottle),
  tomato_sauce: plain(about("z", QUARTER)),
  white_bowl: plain(facing),
  white_yellow_mug: plain(about("x", -QUARTER)),
  yellow_book: plain(about("x", -QUARTER, -EIGHTH)),

  // The embedded suite's own.
  small_cabinet: CABINET,
  red_block: plain(BLOCK),
  green_block: plain(BLOCK),
  blue_block: plain(BLOCK),
};

export function categoryFacts(category: string): Category {
  return Object.hasOwn(CATEGORIES, category) ? CATEGORIES[category] : DEFAULT;
}
