/**
 * LIBERO's problem classes: which arena, which robot mount, where table, robot and cameras are.
 * A BDDL file names its class in `(problem NAME)`.
 */

import { FormatError } from "../../../core/index.ts";

export interface Camera {
  readonly name: string;
  readonly pos: string;
  /** wxyz */
  readonly quat: string;
}

export interface Workspace {
  /** Category of the fixture that is the workspace itself; it loads no object. */
  readonly category: string;
  /** Origin of the regions in the world frame, metres. */
  readonly offset: readonly [number, number, number];
  /** File under `assets/scenes`. */
  readonly arena: string;
  readonly floorTexture: string;
  readonly wallTexture: string;
  /** Full size of a table that the arena file leaves open, metres, and its friction; null when the arena brings its own. */
  readonly table: { readonly size: readonly [number, number, number]; readonly friction: string } | null;
  /** Body of the arena that gets the region sites, and their height in its frame. */
  readonly regionBody: string;
  readonly regionHeight: number;
  readonly pedestal: boolean;
  /** World position of `robot0_base`. */
  readonly robotBase: string;
  /** Cameras to set or add, in this order. */
  readonly cameras: readonly Camera[];
  /** Height added to a fixture's resting height, metres. */
  readonly fixtureRise: number;
  /** Whether objects keep their radius away from the border of a region. */
  readonly keepInside: boolean;
}

const TABLE_VIEW = "0.6380177736282349 0.3048497438430786 0.30484986305236816 0.6380177736282349";
const LOW_VIEW = "0.6182166934013367 0.3432307541370392 0.3432314395904541 0.6182177066802979";
const FRONT_VIEW = "0.56 0.43 0.43 0.56";
const GALLERY: Camera = {
  name: "galleryview",
  pos: "2.844547668904445 2.1279684793440667 3.128616846013882",
  quat: "0.42261379957199097 0.23374411463737488 0.41646939516067505 0.7702690958976746",
};
const paper = (pos: string): Camera => ({ name: "paperview", pos, quat: "0.513 0.353 0.443 0.645" });

const TABLETOP: Workspace = {
  category: "table",
  offset: [0, 0, 0.9],
  arena: "libero_tabletop_base_style.xml",
  floorTexture: "light-gray-floor-tile.png",
  wallTexture: "light-gray-plaster.png",
  table: { size: [1.0, 1.2, 0.05], friction: "0.6 0.005 0.0001" },
  regionBody: "table",
  regionHeight: 0.02,
  pedestal: true,
  robotBase: "-0.66 0 0.912",
  cameras: [
    { name: "agentview", pos: "0.6586131746834771 0 1.6103500240372423", quat: TABLE_VIEW },
    { name: "frontview", pos: "1 0 1.48", quat: FRONT_VIEW },
    GALLERY,
  ],
  fixtureRise: 0.01 - 0.05,
  keepInside: true,
};

const FLOOR: Workspace = {
  category: "floor",
  offset: [0, 0, -0.035],
  arena: "libero_floor_base_style.xml",
  floorTexture: "light-gray-floor-tile.png",
  wallTexture: "light-gray-plaster.png",
  table: null,
  regionBody: "floor",
  regionHeight: 0.02,
  pedestal: false,
  robotBase: "-0.6 0 0",
  cameras: [
    { name: "agentview", pos: "0.8965773716836134 5.216182733499864e-07 0.65", quat: LOW_VIEW },
    { name: "frontview", pos: "1 0 0.65", quat: FRONT_VIEW },
    GALLERY,
  ],
  fixtureRise: -0.025,
  keepInside: true,
};

const LIVING_ROOM: Workspace = {
  category: "living_room_table",
  offset: [0, 0, 0.41],
  arena: "libero_living_room_tabletop_base_style.xml",
  floorTexture: "seamless_wood_planks_floor.png",
  wallTexture: "light-gray-plaster.png",
  table: null,
  regionBody: "living_room_table",
  regionHeight: 0.41,
  pedestal: false,
  robotBase: "-0.51 0 0.42",
  cameras: [
    { name: "agentview", pos: "0.6065773716836134 0 0.96", quat: LOW_VIEW },
    { name: "frontview", pos: "1.5 0 0.9", quat: FRONT_VIEW },
    GALLERY,
    paper("2.1 0.735 1.875"),
  ],
  fixtureRise: 0.01 - 0.024,
  keepInside: false,
};

const KITCHEN: Workspace = {
  ...TABLETOP,
  category: "kitchen_table",
  arena: "libero_kitchen_tabletop_base_style.xml",
  floorTexture: "gray_ceramic_tile.png",
  wallTexture: "yellow_linen_wall_texture.png",
  table: { size: [1.0, 1.2, 0.05], friction: "1 0.005 0.0001" },
  regionHeight: 0,
  cameras: [...TABLETOP.cameras, paper("2.1 0.535 2.075")],
  keepInside: false,
};

const STUDY: Workspace = {
  ...KITCHEN,
  category: "study_table",
  offset: [-0.2, 0, 0.867],
  arena: "libero_study_base_style.xml",
  floorTexture: "light-gray-floor-tile.png",
  wallTexture: "light-gray-plaster.png",
  table: null,
  regionBody: "study_table",
  regionHeight: 0.867,
  robotBase: "-0.75 0 0.912",
  cameras: [
    { name: "agentview", pos: "0.4586131746834771 0 1.6103500240372423", quat: TABLE_VIEW },
    ...KITCHEN.cameras.slice(1),
  ],
};

const WORKSPACES: Readonly<Record<string, Workspace>> = {
  libero_tabletop_manipulation: TABLETOP,
  libero_floor_manipulation: FLOOR,
  libero_living_room_tabletop_manipulation: LIVING_ROOM,
  libero_kitchen_tabletop_manipulation: KITCHEN,
  libero_study_tabletop_manipulation: STUDY,
};

/**
 * @param who name of the BDDL file, for the error message
 * @throws FormatError for an unknown class
 */
export function workspaceOf(problem: string, who: string): Workspace {
  if (Object.hasOwn(WORKSPACES, problem)) return WORKSPACES[problem];
  throw new FormatError(who, `a problem class of ${Object.keys(WORKSPACES).join(", ")}`, problem);
}
