/**
 * Problem classes: which arena, which robot mount, where table, robot and cameras are. A BDDL file names its class in
 * `(problem NAME)`; `assets/scenes/NAME.json` describes it. Clones of LIBERO have no such files, so that its own
 * classes stand in `libero-workspaces.ts`.
 */

import { FormatError } from "../../../core/index.ts";
import { exists, join, listFolder } from "../../platform/node.ts";
import { checkName } from "../names.ts";
import { Data, readData } from "./data.ts";
import { LIBERO_WORKSPACES as OWN } from "./libero-workspaces.ts";

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
  /**
   * Full size of a table that the arena file leaves open, metres, and its friction; null when the arena brings its own.
   */
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

const LIBERO_WORKSPACES = new Data("libero-workspaces.ts", OWN).record(readWorkspace);

/**
 * @param assets folder of a clone's assets.
 * @param who name of the BDDL file, for the error message
 * @throws FormatError for an unknown class, or a file that cannot be meant
 */
export function workspaceOf(problem: string, assets: string, who: string): Workspace {
  const path = join(assets, "scenes", `${problem}.json`);
  if (exists(path)) return readWorkspace(readData(path));
  if (Object.hasOwn(LIBERO_WORKSPACES, problem)) return LIBERO_WORKSPACES[problem];
  const lit = litWorkspace(problem, assets);
  if (lit !== null) return lit;
  const known = Object.keys(LIBERO_WORKSPACES).join(", ");
  throw new FormatError(who, `a problem class of ${known}, or scenes/${problem}.json`, problem);
}

/**
 * LIBERO-plus (arXiv:2510.13626) has problem classes that differ from LIBERO's in their lights alone: a name that ends
 * in `kitchen_light_sync_modified_7` stands for the arena `scenes/lights/kitchen_light_sync_modified_7.xml`, whose
 * first word begins the name of LIBERO's own arena.
 */
function litWorkspace(problem: string, assets: string): Workspace | null {
  const folder = join(assets, "scenes", "lights");
  if (!/_light_sync_modified_\d+$/.test(problem) || !exists(folder)) return null;
  const file = listFolder(folder).find(
    (name) => name.endsWith(".xml") && problem.endsWith(name.slice(0, -4)),
  );
  if (file === undefined) return null;
  const domain = file.replace(/_light_sync_modified_.*/, "");
  const base = Object.values(LIBERO_WORKSPACES).find(({ arena }) => arena.startsWith(`libero_${domain}`));
  return base ? { ...base, arena: join("lights", file) } : null;
}

function readWorkspace(data: Data): Workspace {
  const fields = data.fields([
    "category",
    "offset",
    "arena",
    "floorTexture",
    "wallTexture",
    "table",
    "regionBody",
    "regionHeight",
    "pedestal",
    "robotBase",
    "cameras",
    "fixtureRise",
    "keepInside",
  ]);
  const name = (field: Data) => checkName(field.text(), field.who);
  const vector = (field: Data) => field.numbers(3) as [number, number, number];
  return {
    category: name(fields.category),
    offset: vector(fields.offset),
    arena: name(fields.arena),
    floorTexture: name(fields.floorTexture),
    wallTexture: name(fields.wallTexture),
    table: fields.table.orNull((table) => {
      const { size, friction } = table.fields(["size", "friction"]);
      return { size: vector(size), friction: friction.numbers(3).join(" ") };
    }),
    regionBody: name(fields.regionBody),
    regionHeight: fields.regionHeight.number(),
    pedestal: fields.pedestal.flag(),
    robotBase: fields.robotBase.numbers(3).join(" "),
    cameras: fields.cameras.list((camera) => {
      const { name: own, pos, quat } = camera.fields(["name", "pos", "quat"]);
      return { name: name(own), pos: pos.numbers(3).join(" "), quat: quat.numbers(4).join(" ") };
    }),
    fixtureRise: fields.fixtureRise.number(),
    keepInside: fields.keepInside.flag(),
  };
}
