/** What a sample shows, in `SampleBuffer.shown`, where it is not the number of a logged triangle. */
export const NOTHING = -1;
/** Nothing, and its colour is known already. */
export const KEPT_NOTHING = -2;

/** A triangle of this part, and its colour is known already. */
export const keptPart = (part: number): number => -3 - part;
/** The part of such a triangle; negative for all other values. */
export const partKept = (shown: number): number => -3 - shown;

/** The triangles that won a sample. */
export class TriangleLog {
  /** Edge functions of each triangle, (count, 9): aᵢ, bᵢ, cᵢ for i = 0, 1, 2. */
  edges = new Float64Array(9 << 12);
  /** Index of each triangle's part, (count). */
  parts = new Int32Array(1 << 12);
  /** Number of each triangle in its surface, (count). */
  triangles = new Int32Array(1 << 12);
  count = 0;

  /** Makes room for so many more. Arrays taken before may no longer be those of the log. */
  reserve(more: number): void {
    let size = this.parts.length;
    if (this.count + more <= size) return;
    while (size < this.count + more) size *= 2;
    const { edges, parts, triangles } = this;
    this.edges = new Float64Array(9 * size);
    this.parts = new Int32Array(size);
    this.triangles = new Int32Array(size);
    this.edges.set(edges);
    this.parts.set(parts);
    this.triangles.set(triangles);
  }

  /** Index of the part that a sample shows, negative for none. */
  partOf(shown: number): number {
    return shown >= 0 ? this.parts[shown] : partKept(shown);
  }

  /** Does what a sample shows come later than a triangle of a part in the order of drawing? */
  isLater(shown: number, part: number, triangle: number): boolean {
    const other = this.partOf(shown);
    return other > part || (other === part && shown >= 0 && this.triangles[shown] > triangle);
  }
}
