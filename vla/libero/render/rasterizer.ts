import type { View } from "./camera.ts";
import type { Part } from "./drawable.ts";

/** Samples per pixel, at OpenGL drivers' usual positions (pixel units from the lower left corner). */
export const SAMPLES = 4;
const SAMPLE_X = [0.375, 0.875, 0.125, 0.625] as const;
const SAMPLE_Y = [0.125, 0.375, 0.625, 0.875] as const;
/** From the pixel's centre to its first sample, pixels. */
export const FIRST_SAMPLE: readonly [x: number, y: number] = [SAMPLE_X[0] - 0.5, SAMPLE_Y[0] - 0.5];
/** Triangles wider than this many pixels get exact row spans instead of their bounding box. */
const WIDE = 3;

/** What lies in front of each sample. */
export interface SampleBuffer {
  /** 1 / depth per sample (nearer is larger), 0 for nothing, (H, W, 4). */
  readonly depth: Float32Array;
  /** Triangle in the rasteriser's log per sample, -1 for nothing, (H, W, 4). */
  readonly triangle: Int32Array;
}

/**
 * Finds which triangle each sample sees. Edge functions are planes over the picture,
 *
 *   eᵢ(x, y) = aᵢ x + bᵢ y + cᵢ      with  Σ eᵢ = 1/depth  and  eᵢ / Σ eⱼ = perspective-correct weight of corner i,
 *
 * so the same nine numbers answer coverage (all eᵢ ≥ 0), depth and interpolation, and they exist also for triangles
 * that reach behind the eye: nothing is ever clipped into new triangles.
 */
export class Rasterizer {
  readonly #view: View;
  readonly #screenX: Float64Array;
  readonly #screenY: Float64Array;
  readonly #inverseDepth: Float64Array;

  /** Log of the triangles that won a sample: edge functions (9), part, and corners (3). */
  edges = new Float64Array(9 << 14);
  parts = new Int32Array(1 << 14);
  corners = new Int32Array(3 << 14);
  #logged = 0;

  /** Fragments of the last `drawBlended`: pixel, covered samples as bits, triangle in the log. */
  fragments = new Int32Array(3 << 10);
  fragmentCount = 0;

  /** Rectangle that may be drawn, pixels, inclusive. */
  #left = 0;
  #right = 0;
  #bottom = 0;
  #top = 0;

  readonly #edge = new Float64Array(9);
  readonly #offsets = new Float64Array(3 * SAMPLES);
  readonly #bounds = new Int32Array(4);

  constructor(view: View, pointCount: number) {
    this.#view = view;
    this.#screenX = new Float64Array(pointCount);
    this.#screenY = new Float64Array(pointCount);
    this.#inverseDepth = new Float64Array(pointCount);
    this.setScissor(0, view.width - 1, 0, view.height - 1);
  }

  /** Forgets all triangles; samples that refer to them must be cleared too. */
  clearLog(): void {
    this.#logged = 0;
  }

  setScissor(left: number, right: number, bottom: number, top: number): void {
    this.#left = left;
    this.#right = right;
    this.#bottom = bottom;
    this.#top = top;
  }

  /** Is any of the part's bounding sphere in the rectangle that may be drawn? */
  sees(part: Part): boolean {
    const [x, y, z, radius] = part.surface.bound;
    const { world: w, scale } = part;
    return this.#view.sees(
      w[0] * x + w[1] * y + w[2] * z + w[3],
      w[4] * x + w[5] * y + w[6] * z + w[7],
      w[8] * x + w[9] * y + w[10] * z + w[11],
      radius * Math.max(scale[0], scale[1], scale[2]),
      this.#left,
      this.#right + 1,
      this.#bottom,
      this.#top + 1,
    );
  }

  /** Projects the points of a part; needed once per view before drawing it. */
  project(part: Part): void {
    const { eye, right, up, forward, scaleX, scaleY, shiftX, shiftY } = this.#view;
    const w = part.world;
    const tx = w[3] - eye[0];
    const ty = w[7] - eye[1];
    const tz = w[11] - eye[2];
    const along = (axis: Float64Array, k: number): number =>
      axis[0] * w[k] + axis[1] * w[4 + k] + axis[2] * w[8 + k];
    const from = (axis: Float64Array): number => axis[0] * tx + axis[1] * ty + axis[2] * tz;
    projectPoints(
      part.surface.points,
      this.#screenX,
      this.#screenY,
      this.#inverseDepth,
      part.firstPoint,
      scaleX * along(right, 0),
      scaleX * along(right, 1),
      scaleX * along(right, 2),
      scaleX * from(right),
      scaleY * along(up, 0),
      scaleY * along(up, 1),
      scaleY * along(up, 2),
      scaleY * from(up),
      along(forward, 0),
      along(forward, 1),
      along(forward, 2),
      from(forward),
      shiftX,
      shiftY,
    );
  }

  /**
   * Draws the front-facing triangles of a part; later ones win ties. `turned` swaps front and back.
   * Where `behind` is given, only what is farther than it (1/depth per sample) is drawn.
   */
  drawOpaque(
    part: Part,
    index: number,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
  ): void {
    this.#draw(part, index, turned, target, behind, false);
  }

  /** Collects `fragments` of a part that pass the depth test, in triangle order, leaving the target as it is. */
  drawBlended(
    part: Part,
    index: number,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
  ): void {
    this.fragmentCount = 0;
    this.#draw(part, index, turned, target, behind, true);
  }

  #draw(
    part: Part,
    index: number,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): void {
    const { trianglePoints, triangleCorners } = part.surface;
    const first = part.firstPoint;
    const clockwise = turned !== this.#view.mirrored;
    const limit = 1 / this.#view.near;
    const inverseDepth = this.#inverseDepth;
    const screenX = this.#screenX;
    const screenY = this.#screenY;
    const bounds = this.#bounds;
    // Most triangles of a detailed mesh end in this loop: turned away, outside, or between the samples.
    for (let k = 0; k < trianglePoints.length; k += 3) {
      const p0 = first + trianglePoints[k];
      const p1 = first + trianglePoints[k + 1];
      const p2 = first + trianglePoints[k + 2];
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
        const lowX = Math.min(x0, x1, x2);
        const highX = Math.max(x0, x1, x2);
        const firstColumn = Math.ceil(4 * lowX - 0.5);
        const lastColumn = Math.floor(4 * highX - 0.5);
        if (firstColumn > lastColumn) continue;
        const lowY = Math.min(y0, y1, y2);
        const highY = Math.max(y0, y1, y2);
        const firstRow = Math.ceil(4 * lowY - 0.5);
        const lastRow = Math.floor(4 * highY - 0.5);
        if (firstRow > lastRow) continue;
        bounds[0] = Math.max(this.#left, Math.floor(firstColumn / 4));
        bounds[1] = Math.min(this.#right, Math.floor(lastColumn / 4));
        bounds[2] = Math.max(this.#bottom, Math.floor(firstRow / 4));
        bounds[3] = Math.min(this.#top, Math.floor(lastRow / 4));
        if (bounds[0] > bounds[1] || bounds[2] > bounds[3]) continue;
        this.#setEdges(x0, y0, k0 / area, x1, y1, k1 / area, x2, y2, k2 / area);
      } else if (!(in0 || in1 || in2) || !this.#setEdgesAcrossNear(p0, p1, p2, clockwise)) {
        continue;
      }
      this.#fill(target, behind, blended, index, triangleCorners, k);
    }
  }

  /** Edge functions of a triangle before the near plane, from its corners on screen and their 1/depth over the area. */
  #setEdges(
    x0: number,
    y0: number,
    w0: number,
    x1: number,
    y1: number,
    w1: number,
    x2: number,
    y2: number,
    w2: number,
  ): void {
    const e = this.#edge;
    e[0] = (y1 - y2) * w0;
    e[1] = (x2 - x1) * w0;
    e[2] = (x1 * y2 - x2 * y1) * w0;
    e[3] = (y2 - y0) * w1;
    e[4] = (x0 - x2) * w1;
    e[5] = (x2 * y0 - x0 * y2) * w1;
    e[6] = (y0 - y1) * w2;
    e[7] = (x1 - x0) * w2;
    e[8] = (x0 * y1 - x1 * y0) * w2;
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
    const e = this.#edge;
    e[0] = (y1 * z2 - z1 * y2) / volume;
    e[1] = (z1 * x2 - x1 * z2) / volume;
    e[2] = (x1 * y2 - y1 * x2) / volume;
    e[3] = (y2 * z0 - z2 * y0) / volume;
    e[4] = (z2 * x0 - x2 * z0) / volume;
    e[5] = (x2 * y0 - y2 * x0) / volume;
    e[6] = (y0 * z1 - z0 * y1) / volume;
    e[7] = (z0 * x1 - x0 * z1) / volume;
    e[8] = (x0 * y1 - y0 * x1) / volume;
    const bounds = this.#bounds;
    bounds[0] = this.#left;
    bounds[1] = this.#right;
    bounds[2] = this.#bottom;
    bounds[3] = this.#top;
    return true;
  }

  /** Visits the samples of the triangle that was set up. */
  #fill(
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
    index: number,
    triangleCorners: Uint32Array,
    k: number,
  ): void {
    const e = this.#edge;
    const e0 = e[0];
    const e1 = e[1];
    const e2 = e[2];
    const e3 = e[3];
    const e4 = e[4];
    const e5 = e[5];
    const e6 = e[6];
    const e7 = e[7];
    const e8 = e[8];
    const { near, far, width } = this.#view;
    const nearest = 1 / near;
    const farthest = 1 / far;
    const { depth, triangle } = target;
    const left = this.#bounds[0];
    const right = this.#bounds[1];
    const top = this.#bounds[3];
    const wide = right - left > WIDE;
    // What an edge function gains from the pixel's corner to each sample, and at most.
    const offsets = this.#offsets;
    const reach0 = sampleOffsets(e0, e1, offsets, 0);
    const reach1 = sampleOffsets(e3, e4, offsets, SAMPLES);
    const reach2 = sampleOffsets(e6, e7, offsets, 2 * SAMPLES);
    let logged = -1;
    for (let y = this.#bounds[2]; y <= top; y++) {
      let first = left;
      let last = right;
      if (wide) {
        // Where does each edge function stay non-negative for some sample of the pixel?
        const q0 = e1 * y + e2 + reach0;
        const q1 = e4 * y + e5 + reach1;
        const q2 = e7 * y + e8 + reach2;
        if ((e0 === 0 && q0 < 0) || (e3 === 0 && q1 < 0) || (e6 === 0 && q2 < 0)) continue;
        if (e0 > 0) first = Math.max(first, Math.ceil(-q0 / e0 - 1e-6));
        else if (e0 < 0) last = Math.min(last, Math.floor(-q0 / e0 + 1e-6));
        if (e3 > 0) first = Math.max(first, Math.ceil(-q1 / e3 - 1e-6));
        else if (e3 < 0) last = Math.min(last, Math.floor(-q1 / e3 + 1e-6));
        if (e6 > 0) first = Math.max(first, Math.ceil(-q2 / e6 - 1e-6));
        else if (e6 < 0) last = Math.min(last, Math.floor(-q2 / e6 + 1e-6));
      }
      for (let x = first; x <= last; x++) {
        const a = e0 * x + e1 * y + e2;
        const b = e3 * x + e4 * y + e5;
        const c = e6 * x + e7 * y + e8;
        if (a + reach0 < 0 || b + reach1 < 0 || c + reach2 < 0) continue;
        const pixel = y * width + x;
        let covered = 0;
        for (let s = 0; s < SAMPLES; s++) {
          const w0 = a + offsets[s];
          const w1 = b + offsets[SAMPLES + s];
          const w2 = c + offsets[2 * SAMPLES + s];
          if (w0 < 0 || w1 < 0 || w2 < 0) continue;
          const inverse = w0 + w1 + w2;
          const sample = SAMPLES * pixel + s;
          if (inverse < depth[sample] || inverse > nearest || inverse < farthest) continue;
          if (behind !== null && inverse > behind[sample]) continue;
          if (logged < 0) logged = this.#log(index, triangleCorners, k);
          covered |= 1 << s;
          if (!blended) {
            depth[sample] = inverse;
            triangle[sample] = logged;
          }
        }
        if (blended && covered !== 0) this.#keepFragment(pixel, covered, logged);
      }
    }
  }

  #log(index: number, triangleCorners: Uint32Array, k: number): number {
    const at = this.#logged++;
    if (at >= this.parts.length) this.#growLog();
    this.edges.set(this.#edge, 9 * at);
    this.parts[at] = index;
    this.corners[3 * at] = triangleCorners[k];
    this.corners[3 * at + 1] = triangleCorners[k + 1];
    this.corners[3 * at + 2] = triangleCorners[k + 2];
    return at;
  }

  #growLog(): void {
    const size = 2 * this.parts.length;
    const edges = new Float64Array(9 * size);
    const parts = new Int32Array(size);
    const corners = new Int32Array(3 * size);
    edges.set(this.edges);
    parts.set(this.parts);
    corners.set(this.corners);
    this.edges = edges;
    this.parts = parts;
    this.corners = corners;
  }

  #keepFragment(pixel: number, covered: number, logged: number): void {
    const at = 3 * this.fragmentCount++;
    if (at >= this.fragments.length) {
      const grown = new Int32Array(2 * this.fragments.length);
      grown.set(this.fragments);
      this.fragments = grown;
    }
    this.fragments[at] = pixel;
    this.fragments[at + 1] = covered;
    this.fragments[at + 2] = logged;
  }
}

/** Writes a sx + b sy for the four samples and returns the largest. */
function sampleOffsets(a: number, b: number, out: Float64Array, at: number): number {
  const o0 = (out[at] = a * SAMPLE_X[0] + b * SAMPLE_Y[0]);
  const o1 = (out[at + 1] = a * SAMPLE_X[1] + b * SAMPLE_Y[1]);
  const o2 = (out[at + 2] = a * SAMPLE_X[2] + b * SAMPLE_Y[2]);
  const o3 = (out[at + 3] = a * SAMPLE_X[3] + b * SAMPLE_Y[3]);
  return Math.max(o0, o1, o2, o3);
}

/** x, y in pixels and 1/depth of every point; rows x, y, z map the surface's frame to scaled camera axes. */
function projectPoints(
  points: Float32Array,
  screenX: Float64Array,
  screenY: Float64Array,
  inverseDepth: Float64Array,
  first: number,
  x0: number,
  x1: number,
  x2: number,
  x3: number,
  y0: number,
  y1: number,
  y2: number,
  y3: number,
  z0: number,
  z1: number,
  z2: number,
  z3: number,
  shiftX: number,
  shiftY: number,
): void {
  for (let i = 0, out = first; i < points.length; i += 3, out++) {
    const x = points[i];
    const y = points[i + 1];
    const z = points[i + 2];
    const inverse = 1 / (z0 * x + z1 * y + z2 * z + z3);
    screenX[out] = (x0 * x + x1 * y + x2 * z + x3) * inverse + shiftX;
    screenY[out] = (y0 * x + y1 * y + y2 * z + y3) * inverse + shiftY;
    inverseDepth[out] = inverse;
  }
}
