import { type Clusters, makeClusters } from "./clusters.ts";

/**
 * A triangle surface in its own frame. Positions and corners are kept apart: the visibility pass transforms positions,
 * cluster by cluster, the shading pass lights only the corners (position, normal and texture coordinate) it sees.
 */
export interface Surface {
  /** Distinct positions, (P, 3). */
  readonly points: Float32Array;
  /** Position of each corner, (C). */
  readonly cornerPoints: Uint32Array;
  /** Unit normal of each corner, (C, 3). */
  readonly normals: Float32Array;
  /** Texture coordinate of each corner, (C, 2); null where the surface has none of its own. */
  readonly uvs: Float32Array | null;
  /** Corners of each triangle, counter-clockwise seen from the front, (T, 3). */
  readonly triangleCorners: Uint32Array;
  /** Its triangles as the visibility pass takes them. */
  readonly clusters: Clusters;
  /** Bounding sphere: x, y, z, radius. */
  readonly bound: readonly [number, number, number, number];
}

/** Joins a surface from one position, normal and texture coordinate per corner; equal positions are merged. */
export function makeSurface(
  positions: Float32Array,
  normals: Float32Array,
  uvs: Float32Array | null,
  triangleCorners: Uint32Array,
): Surface {
  const { points, index } = weld(positions);
  return joinSurface(points, index, normals, uvs, triangleCorners);
}

/** Joins a surface whose corners already point into a list of positions. */
export function joinSurface(
  points: Float32Array,
  cornerPoints: Uint32Array,
  normals: Float32Array,
  uvs: Float32Array | null,
  triangleCorners: Uint32Array,
): Surface {
  const trianglePoints = triangleCorners.map((corner) => cornerPoints[corner]);
  return {
    points,
    cornerPoints,
    normals,
    uvs,
    triangleCorners,
    clusters: makeClusters(points, trianglePoints),
    bound: boundingSphere(points),
  };
}

/** Merges bitwise equal positions: the distinct ones, in order of first use, and where each input went. */
export function weld(positions: Float32Array): { points: Float32Array; index: Uint32Array } {
  const count = positions.length / 3;
  const bits = new Uint32Array(positions.buffer, positions.byteOffset, positions.length);
  let slots = 16;
  while (slots < 2 * count) slots *= 2;
  const table = new Int32Array(slots).fill(-1); // open addressing: slot → distinct position
  const first: number[] = []; // distinct position → input that brought it
  const index = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const x = bits[3 * i];
    const y = bits[3 * i + 1];
    const z = bits[3 * i + 2];
    let hash = Math.imul(x, 0x9e3779b1) ^ Math.imul(y, 0x85ebca77) ^ Math.imul(z, 0xc2b2ae3d);
    hash ^= hash >>> 15;
    let slot = hash & (slots - 1);
    for (;;) {
      const found = table[slot];
      if (found < 0) {
        table[slot] = first.length;
        index[i] = first.length;
        first.push(i);
        break;
      }
      const at = 3 * first[found];
      if (bits[at] === x && bits[at + 1] === y && bits[at + 2] === z) {
        index[i] = found;
        break;
      }
      slot = (slot + 1) & (slots - 1);
    }
  }
  const points = new Float32Array(3 * first.length);
  for (let p = 0; p < first.length; p++)
    points.set(positions.subarray(3 * first[p], 3 * first[p] + 3), 3 * p);
  return { points, index };
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
