import type { View } from "./camera.ts";
import { CLUSTER, type Clusters } from "./clusters.ts";
import { Culler } from "./culling.ts";
import type { Part } from "./drawable.ts";
import { Filler } from "./filler.ts";
import { Occlusion } from "./occlusion.ts";
import { holdsSample, type Rectangle, type SampleBuffer } from "./samples.ts";
import { TriangleLog } from "./triangle-log.ts";

/** Triangles wider than this many sample columns get exact spans of each row instead of their bounding box. */
const WIDE = 12;
/** Points of a cluster at most. */
const CLUSTER_POINTS = 3 * CLUSTER;

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
  readonly #view: View;
  readonly #filler: Filler;
  readonly #culler = new Culler();
  readonly #occlusion: Occlusion;
  #rectangle: Rectangle;

  /** Map from the part's frame to scaled camera axes, (3, 4), then the shifts of the picture. */
  readonly #map = new Float64Array(14);
  /** The points of the current cluster: position in pixels, and 1/depth. */
  readonly #screenX = new Float64Array(CLUSTER_POINTS);
  readonly #screenY = new Float64Array(CLUSTER_POINTS);
  readonly #inverseDepth = new Float64Array(CLUSTER_POINTS);

  constructor(view: View) {
    this.#view = view;
    this.#filler = new Filler(view, this.log);
    this.#occlusion = new Occlusion(view);
    this.#rectangle = { left: 0, right: view.width - 1, bottom: 0, top: view.height - 1 };
  }

  /** Begins another picture, on a target that holds other things now. Its samples must not refer to logged triangles. */
  begin(): void {
    this.log.count = 0;
    this.#occlusion.begin();
  }

  /** What the last `drawBlended` collected: the number of a sample, then that of its triangle in the log. */
  get fragments(): Int32Array {
    return this.#filler.fragments;
  }

  get fragmentCount(): number {
    return this.#filler.fragmentCount;
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
    this.#filler.fragmentCount = 0;
    this.#draw(part, turned, target, behind, true);
    this.#filler.sortFragments();
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
      if (this.#occlusion.hides(clusters, c, this.#map, this.#rectangle, target.depth)) continue;
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
        ? this.#filler.fillWide(
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
        : this.#filler.fillSmall(
            firstColumn,
            lastColumn,
            firstRow,
            lastRow,
            part,
            number,
            target,
            behind,
            blended,
          );
    if (!seen) return;
    if (!blended) this.#occlusion.note(firstColumn >> 2, lastColumn >> 2, firstRow >> 2, lastRow >> 2);
    log.parts[count] = part;
    log.triangles[count] = number;
    log.count++;
  }
}
