import { type Clusters, holdClusters, makeClusters } from "./clusters.ts";
import type { RenderMemory } from "./memory.ts";

/** Numbers of a corner in `Surface.corners`: its position, then its unit normal. */
export const CORNER_STRIDE = 6;
export const CORNER_NORMAL = 3;

/**
 * A triangle surface in its own frame. The visibility pass takes positions, cluster by cluster; the shading pass lights
 * only the corners it sees. Triangles and corners are numbered in the order of the clusters: what is close is read
 * together.
 */
export interface Surface {
  /** Distinct corners, (C, CORNER_STRIDE). */
  readonly corners: Float32Array;
  /** Texture coordinate of each corner, (C, 2); null where the surface has none of its own. */
  readonly uvs: Float32Array | null;
  /** Corners of the triangle at each place of the clusters, counter-clockwise seen from the front, (T, 3). */
  readonly triangleCorners: Uint32Array;
  /** Its triangles as the visibility pass takes them. */
  readonly clusters: Clusters;
  /** Bounding sphere: x, y, z, radius. */
  readonly bound: readonly [number, number, number, number];
}

/**
 * A surface from one position, normal and, where given, texture coordinate per corner. Corners that are equal in all of
 * them are merged, and positions that are equal for the clusters.
 */
export function makeSurface(
  positions: Float32Array,
  normals: Float32Array,
  uvs: Float32Array | null,
  triangleCorners: Uint32Array,
): Surface {
  const { rows: points, index } = weld(positions, 3);
  const clusters = makeClusters(
    points,
    triangleCorners.map((corner) => index[corner]),
  );
  const stride = CORNER_STRIDE + (uvs === null ? 0 : 2);
  const table = new Float32Array(stride * triangleCorners.length);
  clusters.triangles.forEach((triangle, place) => {
    for (let k = 0; k < 3; k++) {
      const corner = triangleCorners[3 * triangle + k];
      const at = stride * (3 * place + k);
      for (let i = 0; i < 3; i++) {
        table[at + i] = positions[3 * corner + i];
        table[at + CORNER_NORMAL + i] = normals[3 * corner + i];
      }
      if (uvs === null) continue;
      table[at + CORNER_STRIDE] = uvs[2 * corner];
      table[at + CORNER_STRIDE + 1] = uvs[2 * corner + 1];
    }
  });
  const welded = weld(table, stride);
  return {
    corners: columns(welded.rows, stride, 0, CORNER_STRIDE),
    uvs: uvs && columns(welded.rows, stride, CORNER_STRIDE, 2),
    triangleCorners: welded.index,
    clusters,
    bound: boundingSphere(points),
  };
}

/** `count` columns of a table of rows, from number `first` on. */
function columns(table: Float32Array, stride: number, first: number, count: number): Float32Array {
  const out = new Float32Array((table.length / stride) * count);
  for (let row = 0, at = 0; row < table.length; row += stride) {
    for (let k = 0; k < count; k++) out[at++] = table[row + first + k];
  }
  return out;
}

/** The same surface, held in a renderer's memory. */
export function holdSurface(
  { corners, uvs, triangleCorners, clusters, bound }: Surface,
  memory: RenderMemory,
): Surface {
  return {
    corners: memory.copy(corners),
    uvs: uvs && memory.copy(uvs),
    triangleCorners: memory.copy(triangleCorners),
    clusters: holdClusters(clusters, memory),
    bound,
  };
}

/** Merges bitwise equal rows of `stride` numbers: the distinct ones, in order of first use, and where each row went. */
export function weld(table: Float32Array, stride: number): { rows: Float32Array; index: Uint32Array } {
  const count = table.length / stride;
  const bits = new Uint32Array(table.buffer, table.byteOffset, table.length);
  let slots = 16;
  while (slots < 2 * count) slots *= 2;
  const taken = new Int32Array(slots).fill(-1); // open addressing: slot → distinct row
  const first = new Uint32Array(count); // distinct row → the one that brought it
  let distinct = 0;
  const index = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const row = stride * i;
    let hash = 0;
    for (let k = 0; k < stride; k++) hash = Math.imul(hash ^ bits[row + k], 0x9e3779b1) ^ (hash >>> 15);
    hash ^= hash >>> 15;
    let slot = hash & (slots - 1);
    for (;;) {
      const found = taken[slot];
      if (found < 0) {
        taken[slot] = distinct;
        index[i] = distinct;
        first[distinct++] = i;
        break;
      }
      const other = stride * first[found];
      let k = 0;
      while (k < stride && bits[other + k] === bits[row + k]) k++;
      if (k === stride) {
        index[i] = found;
        break;
      }
      slot = (slot + 1) & (slots - 1);
    }
  }
  const rows = new Float32Array(stride * distinct);
  for (let r = 0; r < distinct; r++)
    for (let k = 0; k < stride; k++) rows[stride * r + k] = table[stride * first[r] + k];
  return { rows, index };
}

/** Sphere about the centre of the bounding box; not the smallest, enough for culling. */
function boundingSphere(points: Float32Array): [number, number, number, number] {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    low[i % 3] = Math.min(low[i % 3], points[i]);
    high[i % 3] = Math.max(high[i % 3], points[i]);
  }
  const [x, y, z] = [0, 1, 2].map((k) => (low[k] + high[k]) / 2);
  return [x, y, z, Math.hypot(high[0] - x, high[1] - y, high[2] - z)];
}
