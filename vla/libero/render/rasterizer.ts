import type { View } from "./camera.ts";
import { CLUSTER, type Clusters } from "./clusters.ts";
import { Culler } from "./culling.ts";
import type { Part } from "./drawable.ts";
import { TriangleLog } from "./triangle-log.ts";

/** Samples per pixel, at OpenGL drivers' usual positions: one on each of four rows, on one of four columns each. */
export const SAMPLES = 4;
/** Columns of samples 0 to 3 of a pixel, two bits each: 1, 3, 0, 2. */
const COLUMNS = 0b10_00_11_01;
/** From the pixel's centre to its first sample, pixels. */
export const FIRST_SAMPLE: readonly [x: number, y: number] = [1.5 / 4 - 0.5, 0.5 / 4 - 0.5];
/** Triangles wider than this many sample columns get exact spans of each row instead of their bounding box. */
const WIDE = 12;
/** Points of a cluster at most. */
const CLUSTER_POINTS = 3 * CLUSTER;

/** What lies in front of each sample. */
export interface SampleBuffer {
  /** 1 / depth per sample (nearer is larger), 0 for nothing, (H, W, 4). */
  readonly depth: Float32Array;
  /** Number of the triangle in the rasteriser's log, or one of the negative values of triangle-log.ts, (H, W, 4). */
  readonly shown: Int32Array;
  /** 1 for pixels of which a sample was drawn, (H, W). */
  readonly touched: Uint8Array;
}

/** Pixels, all four inclusive. */
export interface Rectangle {
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
  readonly top: number;
}

/**
 * Finds which triangle each sample sees. Edge functions are planes over the picture,
 *
 *   eᵢ(x, y) = aᵢ x + bᵢ y + cᵢ      with  Σ eᵢ = 1/depth  and  eᵢ / Σ eⱼ = perspective-correct weight of corner i,
 *
 * so the same nine numbers answer coverage (all eᵢ ≥ 0), depth and interpolation, and they exist also for triangles
 * that reach behind the eye: nothing is ever clipped into new triangles. The nearest wins, compared as float32; of
 * equals the one that comes last, by part and then by number in its surface. So the order of drawing does not matter.
 */
export class Rasterizer {
  readonly log = new TriangleLog();
  /** Samples that passed the depth test in the last `drawBlended`, and the triangle of each in the log. */
  fragments = new Int32Array(2 << 10);
  fragmentCount = 0;

  readonly #view: View;
  readonly #culler = new Culler();
  #rectangle: Rectangle;

  /** Map from the part's frame to scaled camera axes, (3, 4), then the shifts of the picture. */
  readonly #map = new Float64Array(14);
  /** The points of the current cluster: position in pixels, and 1/depth. */
  readonly #screenX = new Float64Array(CLUSTER_POINTS);
  readonly #screenY = new Float64Array(CLUSTER_POINTS);
  readonly #inverseDepth = new Float64Array(CLUSTER_POINTS);

  readonly #offsets = new Float64Array(3 * SAMPLES);

  constructor(view: View) {
    this.#view = view;
    this.#rectangle = { left: 0, right: view.width - 1, bottom: 0, top: view.height - 1 };
  }

  /** What may be drawn. */
  get rectangle(): Rectangle {
    return this.#rectangle;
  }

  set rectangle(rectangle: Rectangle) {
    this.#rectangle = rectangle;
  }

  /** Is any of the part's bounding sphere in the rectangle that may be drawn? */
  sees(part: Part): boolean {
    const { bound } = part.surface;
    const { world: w, scale } = part;
    const { left, right, bottom, top } = this.#rectangle;
    const x = bound[0];
    const y = bound[1];
    const z = bound[2];
    return this.#view.sees(
      w[0] * x + w[1] * y + w[2] * z + w[3],
      w[4] * x + w[5] * y + w[6] * z + w[7],
      w[8] * x + w[9] * y + w[10] * z + w[11],
      bound[3] * Math.max(scale[0], scale[1], scale[2]),
      left,
      right + 1,
      bottom,
      top + 1,
    );
  }

  /** Depth of the middle of the part, metres. */
  depthOf({ surface: { bound }, world: w }: Part): number {
    const { eye, forward } = this.#view;
    let depth = 0;
    for (let k = 0; k < 3; k++) {
      const at = w[4 * k] * bound[0] + w[4 * k + 1] * bound[1] + w[4 * k + 2] * bound[2] + w[4 * k + 3];
      depth += forward[k] * (at - eye[k]);
    }
    return depth;
  }

  /**
   * Draws the front-facing triangles of a part. `turned` swaps front and back. Where `behind` is given, only what is
   * farther than it (1/depth per sample) is drawn.
   */
  drawOpaque(part: Part, turned: boolean, target: SampleBuffer, behind: Float32Array | null): void {
    this.#draw(part, turned, target, behind, false);
  }

  /** Collects `fragments` of a part that pass the depth test, triangle by triangle, leaving the target as it is. */
  drawBlended(part: Part, turned: boolean, target: SampleBuffer, behind: Float32Array | null): void {
    this.fragmentCount = 0;
    this.#draw(part, turned, target, behind, true);
    this.#sortFragments();
  }

  /** Puts the fragments in the order of their triangles in the surface: what is blended depends on it. */
  #sortFragments(): void {
    const { fragments, fragmentCount: count } = this;
    const { triangles } = this.log;
    const keys = Float64Array.from({ length: count }, (_, i) => count * triangles[fragments[2 * i + 1]] + i);
    const sorted = new Int32Array(2 * count);
    keys.sort().forEach((key, i) => {
      sorted[2 * i] = fragments[2 * (key % count)];
      sorted[2 * i + 1] = fragments[2 * (key % count) + 1];
    });
    fragments.set(sorted);
  }

  #draw(
    part: Part,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): void {
    const culler = this.#culler;
    const { clusters } = part.surface;
    const { left, right, bottom, top } = this.#rectangle;
    culler.aim(part, this.#view, left, right + 1, bottom, top + 1);
    this.#aim(part);
    for (let c = 0; c < clusters.count; c++) {
      if (culler.isOutside(clusters, c)) continue;
      if (!turned && culler.isTurnedAway(clusters, c)) continue;
      this.#projectPoints(clusters, c);
      this.log.reserve(CLUSTER);
      this.#drawCluster(clusters, c, part.index, turned, target, behind, blended);
    }
  }

  /** Sets up the map from a part's frame to the picture. */
  #aim(part: Part): void {
    const { eye, right, up, forward, scaleX, scaleY, shiftX, shiftY } = this.#view;
    const w = part.world;
    const map = this.#map;
    const tx = w[3] - eye[0];
    const ty = w[7] - eye[1];
    const tz = w[11] - eye[2];
    for (let k = 0; k < 3; k++) {
      map[k] = scaleX * (right[0] * w[k] + right[1] * w[4 + k] + right[2] * w[8 + k]);
      map[4 + k] = scaleY * (up[0] * w[k] + up[1] * w[4 + k] + up[2] * w[8 + k]);
      map[8 + k] = forward[0] * w[k] + forward[1] * w[4 + k] + forward[2] * w[8 + k];
    }
    map[3] = scaleX * (right[0] * tx + right[1] * ty + right[2] * tz);
    map[7] = scaleY * (up[0] * tx + up[1] * ty + up[2] * tz);
    map[11] = forward[0] * tx + forward[1] * ty + forward[2] * tz;
    map[12] = shiftX;
    map[13] = shiftY;
  }

  #projectPoints({ points, firstPoint }: Clusters, cluster: number): void {
    const screenX = this.#screenX;
    const screenY = this.#screenY;
    const inverseDepth = this.#inverseDepth;
    const map = this.#map;
    const x0 = map[0];
    const x1 = map[1];
    const x2 = map[2];
    const x3 = map[3];
    const y0 = map[4];
    const y1 = map[5];
    const y2 = map[6];
    const y3 = map[7];
    const z0 = map[8];
    const z1 = map[9];
    const z2 = map[10];
    const z3 = map[11];
    const shiftX = map[12];
    const shiftY = map[13];
    const end = 3 * firstPoint[cluster + 1];
    for (let i = 3 * firstPoint[cluster], out = 0; i < end; i += 3, out++) {
      const x = points[i];
      const y = points[i + 1];
      const z = points[i + 2];
      const inverse = 1 / (z0 * x + z1 * y + z2 * z + z3);
      screenX[out] = (x0 * x + x1 * y + x2 * z + x3) * inverse + shiftX;
      screenY[out] = (y0 * x + y1 * y + y2 * z + y3) * inverse + shiftY;
      inverseDepth[out] = inverse;
    }
  }

  /** Most triangles of a detailed mesh end in this loop: turned away, outside, or between the samples. */
  #drawCluster(
    clusters: Clusters,
    cluster: number,
    part: number,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): void {
    const { corners, triangles } = clusters;
    const { left, right, bottom, top } = this.#rectangle;
    const leastColumn = 4 * left;
    const mostColumn = 4 * right + 3;
    const leastRow = 4 * bottom;
    const mostRow = 4 * top + 3;
    const clockwise = turned !== this.#view.mirrored;
    const limit = 1 / this.#view.near;
    const inverseDepth = this.#inverseDepth;
    const screenX = this.#screenX;
    const screenY = this.#screenY;
    const end = Math.min(CLUSTER * (cluster + 1), triangles.length);
    for (let t = CLUSTER * cluster; t < end; t++) {
      const p0 = corners[3 * t];
      const p1 = corners[3 * t + 1];
      const p2 = corners[3 * t + 2];
      const k0 = inverseDepth[p0];
      const k1 = inverseDepth[p1];
      const k2 = inverseDepth[p2];
      const in0 = k0 > 0 && k0 <= limit;
      const in1 = k1 > 0 && k1 <= limit;
      const in2 = k2 > 0 && k2 <= limit;
      if (in0 && in1 && in2) {
        const x0 = screenX[p0];
        const y0 = screenY[p0];
        const x1 = screenX[p1];
        const y1 = screenY[p1];
        const x2 = screenX[p2];
        const y2 = screenY[p2];
        const area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
        if (clockwise ? area >= 0 : area <= 0) continue;
        // Samples lie on quarter columns and rows: (i + 1/2) / 4 pixels.
        const firstColumn = Math.max(leastColumn, Math.ceil(4 * Math.min(x0, x1, x2) - 0.5)) | 0;
        const lastColumn = Math.min(mostColumn, Math.floor(4 * Math.max(x0, x1, x2) - 0.5)) | 0;
        if (firstColumn > lastColumn) continue;
        const firstRow = Math.max(leastRow, Math.ceil(4 * Math.min(y0, y1, y2) - 0.5)) | 0;
        const lastRow = Math.min(mostRow, Math.floor(4 * Math.max(y0, y1, y2) - 0.5)) | 0;
        if (firstRow > lastRow) continue;
        if (!holdsSample(firstColumn, lastColumn, firstRow, lastRow)) continue;
        this.#setEdges(p0, p1, p2);
        this.#fill(firstColumn, lastColumn, firstRow, lastRow, part, triangles[t], target, behind, blended);
      } else if ((in0 || in1 || in2) && this.#setEdgesAcrossNear(p0, p1, p2, clockwise)) {
        this.#fill(leastColumn, mostColumn, leastRow, mostRow, part, triangles[t], target, behind, blended);
      }
    }
  }

  /** Writes the edge functions of a triangle before the near plane behind the log's end. */
  #setEdges(p0: number, p1: number, p2: number): void {
    const x0 = this.#screenX[p0];
    const y0 = this.#screenY[p0];
    const x1 = this.#screenX[p1];
    const y1 = this.#screenY[p1];
    const x2 = this.#screenX[p2];
    const y2 = this.#screenY[p2];
    const area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
    const w0 = this.#inverseDepth[p0] / area;
    const w1 = this.#inverseDepth[p1] / area;
    const w2 = this.#inverseDepth[p2] / area;
    const e = this.log.edges;
    const at = 9 * this.log.count;
    e[at] = (y1 - y2) * w0;
    e[at + 1] = (x2 - x1) * w0;
    e[at + 2] = (x1 * y2 - x2 * y1) * w0;
    e[at + 3] = (y2 - y0) * w1;
    e[at + 4] = (x0 - x2) * w1;
    e[at + 5] = (x2 * y0 - x0 * y2) * w1;
    e[at + 6] = (y0 - y1) * w2;
    e[at + 7] = (x1 - x0) * w2;
    e[at + 8] = (x0 * y1 - x1 * y0) * w2;
  }

  /**
   * The same for a triangle with corners on both sides of the near plane, in homogeneous coordinates: it may cover all
   * of the picture. False when it is turned away.
   */
  #setEdgesAcrossNear(p0: number, p1: number, p2: number, clockwise: boolean): boolean {
    const z0 = 1 / this.#inverseDepth[p0];
    const z1 = 1 / this.#inverseDepth[p1];
    const z2 = 1 / this.#inverseDepth[p2];
    const x0 = this.#screenX[p0] * z0;
    const y0 = this.#screenY[p0] * z0;
    const x1 = this.#screenX[p1] * z1;
    const y1 = this.#screenY[p1] * z1;
    const x2 = this.#screenX[p2] * z2;
    const y2 = this.#screenY[p2] * z2;
    const volume = x0 * (y1 * z2 - y2 * z1) - y0 * (x1 * z2 - x2 * z1) + z0 * (x1 * y2 - x2 * y1);
    if (!(clockwise ? volume < 0 : volume > 0)) return false; // also for a point exactly at the eye (NaN)
    const e = this.log.edges;
    const at = 9 * this.log.count;
    e[at] = (y1 * z2 - z1 * y2) / volume;
    e[at + 1] = (z1 * x2 - x1 * z2) / volume;
    e[at + 2] = (x1 * y2 - y1 * x2) / volume;
    e[at + 3] = (y2 * z0 - z2 * y0) / volume;
    e[at + 4] = (z2 * x0 - x2 * z0) / volume;
    e[at + 5] = (x2 * y0 - y2 * x0) / volume;
    e[at + 6] = (y0 * z1 - z0 * y1) / volume;
    e[at + 7] = (z0 * x1 - x0 * z1) / volume;
    e[at + 8] = (x0 * y1 - y0 * x1) / volume;
    return true;
  }

  /** Visits the samples of the triangle that was set up, and logs it if it wins any. */
  #fill(
    firstColumn: number,
    lastColumn: number,
    firstRow: number,
    lastRow: number,
    part: number,
    number: number,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): void {
    const { log } = this;
    const { count } = log;
    const seen =
      lastColumn - firstColumn > WIDE
        ? this.#fillWide(
            firstColumn >> 2,
            lastColumn >> 2,
            firstRow >> 2,
            lastRow >> 2,
            part,
            number,
            target,
            behind,
            blended,
          )
        : this.#fillSmall(firstColumn, lastColumn, firstRow, lastRow, part, number, target, behind, blended);
    if (!seen) return;
    log.parts[count] = part;
    log.triangles[count] = number;
    log.count++;
  }

  /** Looks at the samples of the bounding box, row by row. */
  #fillSmall(
    firstColumn: number,
    lastColumn: number,
    firstRow: number,
    lastRow: number,
    part: number,
    number: number,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): boolean {
    const { log } = this;
    const { edges, count } = log;
    const at = 9 * count;
    const e0 = edges[at];
    const e1 = edges[at + 1];
    const e2 = edges[at + 2];
    const e3 = edges[at + 3];
    const e4 = edges[at + 4];
    const e5 = edges[at + 5];
    const e6 = edges[at + 6];
    const e7 = edges[at + 7];
    const e8 = edges[at + 8];
    const { near, far, width } = this.#view;
    const nearest = 1 / near;
    const farthest = 1 / far;
    const { depth, shown, touched } = target;
    let seen = false;
    for (let row = firstRow; row <= lastRow; row++) {
      const s = row & 3;
      const y = row >> 2;
      const column = (COLUMNS >> (2 * s)) & 3;
      const sampleX = (column + 0.5) / 4;
      const sampleY = (s + 0.5) / 4;
      const last = (lastColumn - column) >> 2;
      for (let x = (firstColumn + ((column - firstColumn) & 3)) >> 2; x <= last; x++) {
        // From the pixel's corner to the sample.
        const w0 = e0 * x + e1 * y + e2 + (e0 * sampleX + e1 * sampleY);
        const w1 = e3 * x + e4 * y + e5 + (e3 * sampleX + e4 * sampleY);
        const w2 = e6 * x + e7 * y + e8 + (e6 * sampleX + e7 * sampleY);
        if (w0 < 0 || w1 < 0 || w2 < 0) continue;
        const inverse = w0 + w1 + w2;
        const pixel = y * width + x;
        const sample = SAMPLES * pixel + s;
        const held = depth[sample];
        const rounded = Math.fround(inverse);
        if (rounded < held || inverse > nearest || inverse < farthest) continue;
        if (behind !== null && inverse > behind[sample]) continue;
        if (blended) {
          if (inverse < held) continue; // farther, if only by less than held's rounding
          this.#keepFragment(sample, count);
        } else {
          if (rounded === held && log.isLater(shown[sample], part, number)) continue;
          depth[sample] = rounded;
          shown[sample] = count;
          touched[pixel] = 1;
        }
        seen = true;
      }
    }
    return seen;
  }

  /** Looks at the pixels of each row between the edges. */
  #fillWide(
    left: number,
    right: number,
    bottom: number,
    top: number,
    part: number,
    number: number,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): boolean {
    const { log } = this;
    const { edges, count } = log;
    const at = 9 * count;
    const e0 = edges[at];
    const e1 = edges[at + 1];
    const e2 = edges[at + 2];
    const e3 = edges[at + 3];
    const e4 = edges[at + 4];
    const e5 = edges[at + 5];
    const e6 = edges[at + 6];
    const e7 = edges[at + 7];
    const e8 = edges[at + 8];
    const { near, far, width } = this.#view;
    const nearest = 1 / near;
    const farthest = 1 / far;
    const { depth, shown, touched } = target;
    // What an edge function gains from the pixel's corner to each sample, and at most.
    const offsets = this.#offsets;
    const reach0 = sampleOffsets(e0, e1, offsets, 0);
    const reach1 = sampleOffsets(e3, e4, offsets, SAMPLES);
    const reach2 = sampleOffsets(e6, e7, offsets, 2 * SAMPLES);
    let seen = false;
    for (let y = bottom; y <= top; y++) {
      // Where does each edge function stay non-negative for some sample of the pixel?
      const q0 = e1 * y + e2 + reach0;
      const q1 = e4 * y + e5 + reach1;
      const q2 = e7 * y + e8 + reach2;
      if ((e0 === 0 && q0 < 0) || (e3 === 0 && q1 < 0) || (e6 === 0 && q2 < 0)) continue;
      let from = left;
      let to = right;
      if (e0 > 0) from = Math.max(from, Math.ceil(-q0 / e0 - 1e-6));
      else if (e0 < 0) to = Math.min(to, Math.floor(-q0 / e0 + 1e-6));
      if (e3 > 0) from = Math.max(from, Math.ceil(-q1 / e3 - 1e-6));
      else if (e3 < 0) to = Math.min(to, Math.floor(-q1 / e3 + 1e-6));
      if (e6 > 0) from = Math.max(from, Math.ceil(-q2 / e6 - 1e-6));
      else if (e6 < 0) to = Math.min(to, Math.floor(-q2 / e6 + 1e-6));
      if (!(from <= to)) continue;
      const last = to | 0;
      for (let x = from | 0; x <= last; x++) {
        const a = e0 * x + e1 * y + e2;
        const b = e3 * x + e4 * y + e5;
        const c = e6 * x + e7 * y + e8;
        const pixel = y * width + x;
        for (let s = 0; s < SAMPLES; s++) {
          const w0 = a + offsets[s];
          const w1 = b + offsets[SAMPLES + s];
          const w2 = c + offsets[2 * SAMPLES + s];
          if (w0 < 0 || w1 < 0 || w2 < 0) continue;
          const inverse = w0 + w1 + w2;
          const sample = SAMPLES * pixel + s;
          const held = depth[sample];
          const rounded = Math.fround(inverse);
          if (rounded < held || inverse > nearest || inverse < farthest) continue;
          if (behind !== null && inverse > behind[sample]) continue;
          if (blended) {
            if (inverse < held) continue; // farther, if only by less than held's rounding
            this.#keepFragment(sample, count);
          } else {
            if (rounded === held && log.isLater(shown[sample], part, number)) continue;
            depth[sample] = rounded;
            shown[sample] = count;
            touched[pixel] = 1;
          }
          seen = true;
        }
      }
    }
    return seen;
  }

  #keepFragment(sample: number, logged: number): void {
    const at = 2 * this.fragmentCount++;
    if (at >= this.fragments.length) {
      const grown = new Int32Array(2 * this.fragments.length);
      grown.set(this.fragments);
      this.fragments = grown;
    }
    this.fragments[at] = sample;
    this.fragments[at + 1] = logged;
  }
}

/** Is there a sample on these columns and rows, of four to a pixel each? */
function holdsSample(firstColumn: number, lastColumn: number, firstRow: number, lastRow: number): boolean {
  const more = lastColumn - firstColumn;
  if (more >= 3 || lastRow - firstRow >= 3) return true;
  for (let row = firstRow; row <= lastRow; row++) {
    const column = (COLUMNS >> (2 * (row & 3))) & 3;
    if (((column - firstColumn) & 3) <= more) return true;
  }
  return false;
}

/** Writes a sx + b sy for the four samples and returns the largest. */
function sampleOffsets(a: number, b: number, out: Float64Array, at: number): number {
  let most = -Infinity;
  for (let s = 0; s < SAMPLES; s++) {
    const column = (COLUMNS >> (2 * s)) & 3;
    out[at + s] = (a * (column + 0.5)) / 4 + (b * (s + 0.5)) / 4;
    most = Math.max(most, out[at + s]);
  }
  return most;
}
