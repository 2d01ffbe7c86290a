import type { RenderMemory } from "./memory.ts";
import { faceNormal } from "./mesh-surface.ts";

/*
 * A surface cut into clusters of neighbouring triangles that face much the same way, so that what cannot be seen is
 * left out by the cluster: outside of the picture, or turned away from the eye as a whole.
 */

/** Triangles of every cluster but the last. */
export const CLUSTER = 64;

/** Layout of one cluster in `Clusters.bounds`: a box, and a cone that holds the directions its triangles face. */
export const BOUND_STRIDE = 13;
export const BOX_CENTRE = 0;
/** Half sizes. */
export const BOX_HALF = 3;
export const BOX_RADIUS = 6;
/** Unit vector. */
export const CONE_AXIS = 7;
/** Cosine and sine of the half angle; the cosine is 0 or less where the triangles face too many ways. */
export const CONE_COSINE = 10;
export const CONE_SINE = 11;
/** Least position of a point along the axis. */
export const CONE_LOW = 12;

/** Clusters of a surface of T triangles: number c has the places from CLUSTER c on. */
export interface Clusters {
  readonly count: number;
  /** Triangle of the surface at each place, (T); ascending within a cluster. */
  readonly triangles: Uint32Array;
  /** Positions cluster by cluster, (., 3); one that several clusters use is in each of them. */
  readonly points: Float32Array;
  /** Where each cluster's positions begin, (count + 1). */
  readonly firstPoint: Uint32Array;
  /** Positions of the triangle at each place, counted from the cluster's first, (T, 3). */
  readonly corners: Uint8Array;
  /** (count, BOUND_STRIDE) */
  readonly bounds: Float64Array;
}

/** @param trianglePoints positions of each triangle, (T, 3), counter-clockwise seen from the front. */
export function makeClusters(points: Float32Array, trianglePoints: Uint32Array): Clusters {
  const total = trianglePoints.length / 3;
  const count = Math.ceil(total / CLUSTER);
  const normals = faceNormals(points, trianglePoints);
  const triangles = Uint32Array.from({ length: total }, (_, i) => i);
  gather(triangles, features(points, trianglePoints, normals));
  const clusterPoints: number[] = [];
  const firstPoint = new Uint32Array(count + 1);
  const corners = new Uint8Array(3 * total);
  const bounds = new Float64Array(BOUND_STRIDE * count);
  const usedBy = new Int32Array(points.length / 3).fill(-1);
  const place = new Uint8Array(points.length / 3);
  for (let c = 0; c < count; c++) {
    const members = triangles.subarray(CLUSTER * c, CLUSTER * (c + 1)).sort();
    const first = clusterPoints.length / 3;
    firstPoint[c] = first;
    members.forEach((triangle, i) => {
      for (let k = 0; k < 3; k++) {
        const point = trianglePoints[3 * triangle + k];
        if (usedBy[point] !== c) {
          usedBy[point] = c;
          place[point] = clusterPoints.length / 3 - first;
          clusterPoints.push(points[3 * point], points[3 * point + 1], points[3 * point + 2]);
        }
        corners[3 * (CLUSTER * c + i) + k] = place[point];
      }
    });
    bound(clusterPoints, first, members, normals, bounds, BOUND_STRIDE * c);
  }
  firstPoint[count] = clusterPoints.length / 3;
  return { count, triangles, points: Float32Array.from(clusterPoints), firstPoint, corners, bounds };
}

/** The same clusters, held in a renderer's memory. */
export function holdClusters(clusters: Clusters, memory: RenderMemory): Clusters {
  return {
    ...clusters,
    triangles: memory.copy(clusters.triangles),
    points: memory.copy(clusters.points),
    corners: memory.copy(clusters.corners),
  };
}

/** Unit normal of each triangle, (T, 3); zeros for one without area. */
function faceNormals(points: Float32Array, trianglePoints: Uint32Array): Float64Array {
  const normals = new Float64Array(trianglePoints.length);
  const normal = new Float64Array(3);
  for (let t = 0; t < trianglePoints.length; t += 3) {
    faceNormal(points, trianglePoints, t, normal);
    normals.set(normal, t);
  }
  return normals;
}

const FEATURES = 6;
/** How much a half turn counts beside the surface's size. */
const TURN = 0.5;

/** What makes triangles neighbours, (T, FEATURES): where they are, in sizes of the surface, and which way they face. */
function features(points: Float32Array, trianglePoints: Uint32Array, normals: Float64Array): Float32Array {
  let size = 0;
  for (let k = 0; k < 3; k++) {
    let low = Infinity;
    let high = -Infinity;
    for (let i = k; i < points.length; i += 3) {
      low = Math.min(low, points[i]);
      high = Math.max(high, points[i]);
    }
    size = Math.max(size, high - low);
  }
  const out = new Float32Array(FEATURES * (trianglePoints.length / 3));
  for (let t = 0, at = 0; t < trianglePoints.length; t += 3, at += FEATURES) {
    for (let k = 0; k < 3; k++) {
      const sum =
        points[3 * trianglePoints[t] + k] +
        points[3 * trianglePoints[t + 1] + k] +
        points[3 * trianglePoints[t + 2] + k];
      out[at + k] = size > 0 ? (2 * sum) / (3 * size) : 0;
      out[at + 3 + k] = TURN * normals[t + k];
    }
  }
  return out;
}

/** Puts neighbours together: halves the triangles along their widest feature until a cluster holds each part. */
function gather(triangles: Uint32Array, table: Float32Array): void {
  if (triangles.length <= CLUSTER) return;
  let feature = 0;
  let widest = -1;
  for (let k = 0; k < FEATURES; k++) {
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < triangles.length; i++) {
      const value = table[FEATURES * triangles[i] + k];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (high - low <= widest) continue;
    widest = high - low;
    feature = k;
  }
  const middle = CLUSTER * Math.ceil(triangles.length / CLUSTER / 2);
  partition(triangles, table, feature, middle);
  gather(triangles.subarray(0, middle), table);
  gather(triangles.subarray(middle), table);
}

/** Moves the `middle` triangles with the least feature to the front (Hoare's selection). */
function partition(triangles: Uint32Array, table: Float32Array, feature: number, middle: number): void {
  let low = 0;
  let high = triangles.length - 1;
  while (low < high) {
    const pivot = table[FEATURES * triangles[(low + high) >> 1] + feature];
    let i = low;
    let j = high;
    while (i <= j) {
      while (table[FEATURES * triangles[i] + feature] < pivot) i++;
      while (table[FEATURES * triangles[j] + feature] > pivot) j--;
      if (i > j) break;
      const swapped = triangles[i];
      triangles[i++] = triangles[j];
      triangles[j--] = swapped;
    }
    if (middle <= j) high = j;
    else if (middle >= i) low = i;
    else return;
  }
}

/** Writes the bound of a cluster whose positions are the last of `points`, from number `first` on. */
function bound(
  points: readonly number[],
  first: number,
  members: Uint32Array,
  normals: Float64Array,
  out: Float64Array,
  at: number,
): void {
  let squares = 0;
  for (let k = 0; k < 3; k++) {
    let low = Infinity;
    let high = -Infinity;
    for (let i = 3 * first + k; i < points.length; i += 3) {
      low = Math.min(low, points[i]);
      high = Math.max(high, points[i]);
    }
    out[at + BOX_CENTRE + k] = (low + high) / 2;
    out[at + BOX_HALF + k] = (high - low) / 2;
    squares += ((high - low) / 2) ** 2;
  }
  out[at + BOX_RADIUS] = Math.sqrt(squares);

  let x = 0;
  let y = 0;
  let z = 0;
  for (const triangle of members) {
    x += normals[3 * triangle];
    y += normals[3 * triangle + 1];
    z += normals[3 * triangle + 2];
  }
  const length = Math.sqrt(x * x + y * y + z * z) || 1;
  x /= length;
  y /= length;
  z /= length;
  let cosine = 1;
  for (const triangle of members) {
    const n = 3 * triangle;
    if (normals[n] === 0 && normals[n + 1] === 0 && normals[n + 2] === 0) continue; // never drawn
    cosine = Math.min(cosine, x * normals[n] + y * normals[n + 1] + z * normals[n + 2]);
  }
  let low = Infinity;
  for (let i = 3 * first; i < points.length; i += 3)
    low = Math.min(low, x * points[i] + y * points[i + 1] + z * points[i + 2]);
  out[at + CONE_AXIS] = x;
  out[at + CONE_AXIS + 1] = y;
  out[at + CONE_AXIS + 2] = z;
  out[at + CONE_COSINE] = cosine;
  out[at + CONE_SINE] = Math.sqrt(Math.max(0, 1 - cosine * cosine));
  out[at + CONE_LOW] = low;
}
