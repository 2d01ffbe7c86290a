import type { MjModel } from "@mujoco/mujoco";
import { makeSurface, type Surface } from "./surface.ts";

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

  const positions = new Float32Array(9 * faces);
  const normals = new Float32Array(9 * faces);
  const uvs = allUvs && new Float32Array(6 * faces);
  const face = new Float64Array(3);
  for (let f = 0; f < faces; f++) {
    faceNormal(vertices, faceVertices, 3 * f, face);
    for (let c = 3 * f; c < 3 * f + 3; c++) {
      const n = 3 * faceNormals[c];
      const cosine = allNormals[n] * face[0] + allNormals[n + 1] * face[1] + allNormals[n + 2] * face[2];
      const flat = allUvs === null && cosine < SMOOTH_COSINE;
      for (let k = 0; k < 3; k++) {
        positions[3 * c + k] = vertices[3 * faceVertices[c] + k];
        normals[3 * c + k] = flat ? face[k] : allNormals[n + k];
      }
      for (let k = 0; k < 2 && uvs && allUvs; k++) uvs[2 * c + k] = allUvs[2 * faceUvs[c] + k];
    }
  }
  return makeSurface(
    positions,
    normals,
    uvs,
    Uint32Array.from({ length: 3 * faces }, (_, corner) => corner),
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
