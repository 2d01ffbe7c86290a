/** The room: floor, walls, table, lights, cameras, and one box site per region of the workspace. */

import { join } from "../../platform/node.ts";
import type { Region } from "../bddl.ts";
import { type AssetRoots, type Piece, readPiece, recolourCollision } from "./merge.ts";
import type { Workspace } from "./workspaces.ts";
import { attributeOrFail, child, childOrFail, type Element, element } from "./xml.ts";

const OLIVE = "0.5 0.5 0 1";

/** Half height of a region's box site, metres. */
const REGION_HALF_HEIGHT = 0.007;

/** @param regions those that lie on the workspace, each with ranges, in file order */
export function buildArena(workspace: Workspace, regions: readonly Region[], roots: AssetRoots): Piece {
  const path = join(roots.libero, "scenes", workspace.arena);
  const arena = readPiece(path, roots);
  retexture(childOrFail(arena.asset, "texture", "texplane", path), workspace.floorTexture);
  retexture(childOrFail(arena.asset, "texture", "tex-wall", path), workspace.wallTexture);

  if (workspace.table !== null) {
    const table = childOrFail(arena.worldbody, "body", "table", path);
    layTable(table, workspace.table.size, workspace.table.friction, workspace.offset, path);
  }
  recolourCollision(arena.worldbody, OLIVE);

  const body = childOrFail(arena.worldbody, "body", workspace.regionBody, path);
  for (const region of regions) body.children.push(regionSite(region, workspace));

  for (const { name, pos, quat } of workspace.cameras) {
    let camera = child(arena.worldbody, "camera", name);
    if (camera === undefined) arena.worldbody.children.push((camera = element("camera", { name })));
    camera.attributes.set("pos", pos).set("quat", quat);
  }
  return arena;
}

function retexture(texture: Element, file: string): void {
  const old = attributeOrFail(texture, "file");
  texture.attributes.set("file", old.slice(0, old.lastIndexOf("/") + 1) + file);
}

/** Writes size, height and legs of a table; `offset` is the centre of its top. */
function layTable(
  table: Element,
  size: readonly [number, number, number],
  friction: string,
  offset: readonly [number, number, number],
  path: string,
): void {
  const half = size.map((s) => s / 2);
  const [hx, hy, hz] = half;
  table.attributes.set("pos", [offset[0], offset[1], offset[2] - hz].join(" "));
  const collision = childOrFail(table, "geom", "table_collision", path);
  collision.attributes.set("size", half.join(" ")).set("friction", friction);
  childOrFail(table, "geom", "table_visual", path).attributes.set("size", half.join(" "));
  childOrFail(table, "site", "table_top", path).attributes.set("pos", `0 0 ${hz}`);

  const inset = 0.1;
  const reach = (h: number): number => (h > 2 * inset ? h - inset : 0);
  const legHalf = (offset[2] - hz) / 2;
  const corners = [
    [1, 1],
    [-1, 1],
    [-1, -1],
    [1, -1],
  ];
  corners.forEach(([sx, sy], i) => {
    const leg = childOrFail(table, "geom", `table_leg${i + 1}_visual`, path);
    leg.attributes.set("pos", [sx * reach(hx), sy * reach(hy), -legHalf].join(" "));
    leg.attributes.set("size", `0.025 ${legHalf}`);
  });
}

/** Half sizes of the box site of a region, metres: its first rectangle. */
export function regionSize(region: Region): [number, number, number] {
  const [x0, y0, x1, y1] = region.ranges[0];
  return [(x1 - x0) / 2, (y1 - y0) / 2, REGION_HALF_HEIGHT];
}

function regionSite(region: Region, workspace: Workspace): Element {
  const [x0, y0, x1, y1] = region.ranges[0];
  const { offset, regionHeight } = workspace;
  return element("site", {
    name: region.name,
    type: "box",
    pos: [(x1 + x0) / 2 + offset[0], (y1 + y0) / 2 + offset[1], regionHeight].join(" "),
    quat: "1 0 0 0",
    size: regionSize(region).join(" "),
    rgba: region.rgba.join(" "),
  });
}
