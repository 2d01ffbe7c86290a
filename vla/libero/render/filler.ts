import type { View } from "./camera.ts";
import { COLUMNS, SAMPLES, type SampleBuffer } from "./samples.ts";
import type { TriangleLog } from "./triangle-log.ts";

/**
 * Visits the samples of a triangle whose edge functions stand behind the log's end. Both ways to do so compare depths as
 * float32; of equals the triangle that comes last wins, by part and then by number in its surface.
 */
export class Filler {
  /** Samples of blended triangles that passed the depth test, and the triangle of each in the log, (fragmentCount, 2). */
  fragments = new Int32Array(2 << 10);
  fragmentCount = 0;
  readonly #view: View;
  readonly #log: TriangleLog;
  readonly #offsets = new Float64Array(3 * SAMPLES);

  constructor(view: View, log: TriangleLog) {
    this.#view = view;
    this.#log = log;
  }

  /** Looks at the samples of a bounding box, row by row. @returns whether the triangle won any. */
  fillSmall(
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
    const log = this.#log;
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

  /** The same for a box of pixels, of which each row is visited between the edges only. */
  fillWide(
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
    const log = this.#log;
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

  /** Puts the fragments in the order of their triangles in the surface: what is blended depends on it. */
  sortFragments(): void {
    const { fragments, fragmentCount: count } = this;
    const { triangles } = this.#log;
    const keys = Float64Array.from({ length: count }, (_, i) => count * triangles[fragments[2 * i + 1]] + i);
    const sorted = new Int32Array(2 * count);
    keys.sort().forEach((key, i) => {
      sorted[2 * i] = fragments[2 * (key % count)];
      sorted[2 * i + 1] = fragments[2 * (key % count) + 1];
    });
    fragments.set(sorted);
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
