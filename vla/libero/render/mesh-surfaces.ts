import type { MjModel } from "@mujoco/mujoco";
import type { Cache } from "../../../core/index.ts";
import { sha256 } from "../../platform/node.ts";
import { meshSurface } from "./mesh-surface.ts";
import type { Surface } from "./surface.ts";

/** Part of the key of what is kept. Whoever changes what a surface is made of, or how it is stored, raises it. */
export const SURFACES_VERSION = 1;

/**
 * Surfaces of meshes, mesh → surface. Making those of a LIBERO scene takes a quarter of a second, so they are kept
 * between processes, under a key that covers every number they are made of.
 */
export function meshSurfaces(
  model: MjModel,
  meshes: ReadonlySet<number>,
  cache: Cache,
): ReadonlyMap<number, Surface> {
  const make = (): Map<number, Surface> =>
    new Map([...meshes].map((mesh) => [mesh, meshSurface(model, mesh)]));
  if (cache.folder === null || meshes.size === 0) return make();
  const key = keyOf(model, meshes);
  const kept = cache.read(key);
  if (kept) return unpack(kept, meshes);
  const made = make();
  cache.write(key, pack([...made.values()]));
  return made;
}

/** Tables of a model that `meshSurface` reads. */
const TABLES = [
  "mesh_vertadr",
  "mesh_vertnum",
  "mesh_normaladr",
  "mesh_normalnum",
  "mesh_texcoordadr",
  "mesh_texcoordnum",
  "mesh_faceadr",
  "mesh_facenum",
  "mesh_vert",
  "mesh_normal",
  "mesh_texcoord",
  "mesh_face",
  "mesh_facenormal",
  "mesh_facetexcoord",
] as const;

function keyOf(model: MjModel, meshes: ReadonlySet<number>): string {
  const hash = sha256().update(`${[...meshes]}`);
  for (const name of TABLES) {
    const table: Float32Array | Int32Array = model[name];
    hash.update(`\n${name} ${table.length}\n`);
    hash.update(new Uint8Array(table.buffer, table.byteOffset, table.byteLength));
  }
  return `mesh surfaces ${SURFACES_VERSION}: ${hash.hex()}`;
}

type Numbers = Float32Array | Float64Array | Uint32Array | Uint8Array;

/** What a surface holds, in the order it is stored in. One without texture coordinates has an empty list of them. */
const arraysOf = ({ corners, uvs, triangleCorners, clusters, bound }: Surface): Numbers[] => [
  corners,
  uvs ?? new Float32Array(),
  triangleCorners,
  clusters.triangles,
  clusters.points,
  clusters.firstPoint,
  clusters.corners,
  clusters.bounds,
  Float64Array.from(bound),
];

/** Surfaces one after the other: of each array its bytes (uint32), then its numbers. */
export function pack(surfaces: readonly Surface[]): Uint8Array {
  const parts = surfaces.flatMap(arraysOf).flatMap((numbers) => {
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    return [new Uint8Array(Uint32Array.of(bytes.length).buffer), bytes];
  });
  return Buffer.concat(parts);
}

/** The surfaces of these meshes, in the order they were packed in. */
export function unpack(packed: Uint8Array, meshes: ReadonlySet<number>): Map<number, Surface> {
  let at = 0;
  /** A copy, since numbers have to begin at a multiple of their size; a Buffer's own `slice` makes none. */
  const take = (bytes: number): ArrayBuffer =>
    Uint8Array.prototype.slice.call(packed, at, (at += bytes)).buffer as ArrayBuffer;
  const next = (): ArrayBuffer => take(new Uint32Array(take(4))[0]);
  return new Map(
    [...meshes].map((mesh) => {
      const corners = new Float32Array(next());
      const uvs = new Float32Array(next());
      const triangleCorners = new Uint32Array(next());
      const triangles = new Uint32Array(next());
      const points = new Float32Array(next());
      const firstPoint = new Uint32Array(next());
      const clusterCorners = new Uint8Array(next());
      const bounds = new Float64Array(next());
      const [x, y, z, radius] = new Float64Array(next());
      const count = firstPoint.length - 1;
      const clusters = { count, triangles, points, firstPoint, corners: clusterCorners, bounds };
      const own = uvs.length > 0 ? uvs : null;
      return [mesh, { corners, uvs: own, triangleCorners, clusters, bound: [x, y, z, radius] }];
    }),
  );
}
