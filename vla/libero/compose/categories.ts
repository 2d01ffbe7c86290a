/**
 * What is known of object categories beyond their XML: how they are turned when they are placed, what counts as open,
 * which sites show their state. It stands in `NAME.json` beside `NAME.xml`; clones of LIBERO have no such files, so
 * that its own categories stand in `libero-categories.ts`. A category without either gets the defaults: it stands
 * upright, has nothing to open and shows no state.
 */

import { FormatError } from "../../../core/index.ts";
import { exists } from "../../platform/node.ts";
import { checkName } from "../names.ts";
import { Data, readData } from "./data.ts";
import { LIBERO_CATEGORIES as OWN } from "./libero-categories.ts";

export type Range = readonly [number, number];

/**
 * How a movable object is turned when it is placed: angles, radians, drawn about axes one after the other.
 *
 * The axes are LIBERO's names and do not mean what they say: it builds the quaternion as xyzw, MuJoCo reads it as wxyz
 * (see placement.ts). So "x" leaves an object upright whatever the angle (0: half a turn about the vertical, π/2: a
 * quarter turn), and "z" is for meshes whose y axis points up.
 */
export type Rotation = readonly (readonly [axis: "x" | "y" | "z", angles: Range])[];

const STATES = ["open", "close", "turnon", "turnoff"] as const;

export interface Category {
  readonly rotation: Rotation;
  /** Joint values that are drawn when `:init` asks for the state; radians or metres. */
  readonly articulation: Readonly<Partial<Record<(typeof STATES)[number], Range>>> | null;
  /** Sites that show the state, role → site in the object's XML. */
  readonly stateSites: Readonly<Record<string, string>>;
}

const UPRIGHT: Rotation = [["x", [0, 0]]];

const LIBERO_CATEGORIES = new Data("libero-categories.ts", OWN).record(readCategory);

/**
 * @param xml path of the category's XML.
 * @throws FormatError for a file beside it that cannot be meant
 */
export function categoryFacts(category: string, xml: string): Category {
  const beside = xml.replace(/\.xml$/, ".json");
  if (exists(beside)) return readCategory(readData(beside));
  if (Object.hasOwn(LIBERO_CATEGORIES, category)) return LIBERO_CATEGORIES[category];
  return { rotation: UPRIGHT, articulation: null, stateSites: {} };
}

function readCategory(data: Data): Category {
  const { rotation, articulation, stateSites } = data.fields([], ["rotation", "articulation", "stateSites"]);
  return {
    rotation: rotation?.list(readTurn) ?? UPRIGHT,
    articulation: articulation ? readStates(articulation) : null,
    stateSites: stateSites?.record((site) => checkName(site.text(), site.who)) ?? {},
  };
}

function readTurn(data: Data): readonly ["x" | "y" | "z", Range] {
  const [axis, angles] = data.pair();
  return [axis.oneOf(["x", "y", "z"]), readRange(angles)];
}

function readStates(data: Data): Category["articulation"] {
  data.fields([], STATES); // no others
  return data.record(readRange);
}

function readRange(data: Data): Range {
  const [low, high] = data.numbers(2);
  if (low > high) throw new FormatError(data.who, "the lower number first", `[${low}, ${high}]`);
  return [low, high];
}
