import type { MjModel } from "@mujoco/mujoco";
import { joinSurface, type Surface, weld } from "./surface.ts";

/** Below this cosine between a corner's normal and its face's, an edge counts as sharp and is drawn flat. */
const SMOOTH_COSINE = 0.8;

/**
 * The surface of one mesh of the model. Position, normal and texture coordinate have separate indices per face corner.
 * As MuJoCo does: where a mesh has no texture coordinates, corners whose normal leaves the face by much take
 * the face's normal (it keeps hard edges hard); with texture coordinates the stored normal is always used.
 */
export function meshSurface(model: MjModel, mesh: number): Surface {
  const vertAdr: number = model.mesh_vertadr[mesh];
  const normalAdr: number = model.mesh_normaladr[mesh];
  const uvAdr: number = model.mesh_texcoordadr[mesh];
  const faceAdr: number = model.mesh_faceadr[mesh];
  const faces: number = model.mesh_facenum[mesh];
  const vertices: Float32Array = model.mesh_vert.slice(3 * vertAdr, 3 * (vertAdr + model.mesh_vertnum[mesh]));
  const allNormals: Float32Array = model.mesh_normal.slice(
    3 * normalAdr,
    3 * (normalAdr + model.mesh_normalnum[mesh]),
  );
  const allUvs: Float32Array | null =
    uvAdr < 0 ? null : model.mesh_texcoord.slice(2 * uvAdr, 2 * (uvAdr + model.mesh_texcoordnum[mesh]));
  const faceVertices: Int32Array = model.mesh_face.slice(3 * faceAdr, 3 * (faceAdr + faces));
  const faceNormals: Int32Array = model.mesh_facenormal.slice(3 * faceAdr, 3 * (faceAdr + faces));
  const faceUvs: Int32Array = model.mesh_facetexcoord.slice(3 * faceAdr, 3 * (faceAdr + faces));

  const { points, index } = weld(vertices);
  const cornerPoints: number[] = [];
  const normals: number[] = [];
  const uvs: number[] = [];
  const triangleCorners = new Uint32Array(3 * faces);
  // Corners already made from each point, as linked lists: the key is (normal, uv), or the face where it is flat.
  const newest = new Int32Array(points.length / 3).fill(-1);
  const older: number[] = [];
  const keyNormal: number[] = [];
  const keyUv: number[] = [];
  const face = new Float64Array(3);

  for (let f = 0; f < faces; f++) {
    faceNormal(vertices, faceVertices, 3 * f, face);
    for (let c = 3 * f; c < 3 * f + 3; c++) {
      const n = 3 * faceNormals[c];
      const cosine = allNormals[n] * face[0] + allNormals[n + 1] * face[1] + allNormals[n + 2] * face[2];
      const flat = allUvs === null && cosine < SMOOTH_COSINE;
      const point = index[faceVertices[c]];
      const normalKey = flat ? -1 - f : faceNormals[c];
      const uvKey = allUvs ? faceUvs[c] : -1;
      let corner = newest[point];
      while (corner >= 0 && (keyNormal[corner] !== normalKey || keyUv[corner] !== uvKey))
        corner = older[corner];
      if (corner < 0) {
        corner = cornerPoints.length;
        cornerPoints.push(point);
        if (flat) normals.push(face[0], face[1], face[2]);
        else normals.push(allNormals[n], allNormals[n + 1], allNormals[n + 2]);
        if (allUvs) uvs.push(allUvs[2 * uvKey], allUvs[2 * uvKey + 1]);
        keyNormal.push(normalKey);
        keyUv.push(uvKey);
        older.push(newest[point]);
        newest[point] = corner;
      }
      triangleCorners[c] = corner;
    }
  }
  return joinSurface(
    points,
    Uint32Array.from(cornerPoints),
    Float32Array.from(normals),
    allUvs && Float32Array.from(uvs),
    triangleCorners,
  );
}

/** Unit normal of the triangle whose three vertex indices start at `at`; zero for a degenerate one. */
export function faceNormal(
  vertices: Float32Array,
  indices: Int32Array | Uint32Array,
  at: number,
  out: Float64Array,
): void {
  const a = 3 * indices[at];
  const b = 3 * indices[at + 1];
  const c = 3 * indices[at + 2];
  const ux = vertices[b] - vertices[a];
  const uy = vertices[b + 1] - vertices[a + 1];
  const uz = vertices[b + 2] - vertices[a + 2];
  const vx = vertices[c] - vertices[a];
  const vy = vertices[c + 1] - vertices[a + 1];
  const vz = vertices[c + 2] - vertices[a + 2];
  const nx = uy * vz - uz * vy;
  const ny = uz * vx - ux * vz;
  const nz = ux * vy - uy * vx;
  const length = Math.hypot(nx, ny, nz) || 1;
  out[0] = nx / length;
  out[1] = ny / length;
  out[2] = nz / length;
}
