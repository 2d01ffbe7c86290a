import { TRIANGLE, TRIANGLE_BYTES } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";

/** What a sample shows, in `SampleBuffer.shown`, where it is not the number of a logged triangle. */
export const NOTHING = -1;
/** Nothing, and its colour is known already. */
export const KEPT_NOTHING = -2;

/** A triangle of this part, and its colour is known already. */
export const keptPart = (part: number): number => -3 - part;
/** The part of such a triangle; negative for all other values. */
const partKept = (shown: number): number => -3 - shown;

/** Numbers and integers in the record of a triangle. */
const DOUBLES = TRIANGLE_BYTES / 8;
const INTS = TRIANGLE_BYTES / 4;

/** The triangles that won a sample: records of the layout `TRIANGLE`. */
export class TriangleLog {
  /** The records as numbers and as integers. */
  doubles!: Float64Array;
  ints!: Int32Array;
  count = 0;
  readonly #memory: RenderMemory;

  constructor(memory: RenderMemory) {
    this.#memory = memory;
    this.#take(1 << 12);
  }

  /** Makes room for so many more. Arrays taken before may no longer be those of the log. */
  reserve(more: number): void {
    let size = this.ints.length / INTS;
    if (this.count + more <= size) return;
    while (size < this.count + more) size *= 2;
    const { doubles } = this;
    this.#take(size);
    this.doubles.set(doubles);
  }

  #take(size: number): void {
    this.doubles = this.#memory.doubles(DOUBLES * size);
    this.ints = new Int32Array(this.doubles.buffer, this.doubles.byteOffset, INTS * size);
  }

  /** Index of the part that a sample shows, negative for none. */
  partOf(shown: number): number {
    return shown >= 0 ? this.ints[INTS * shown + TRIANGLE.part / 4] : partKept(shown);
  }

  /** Number of a logged triangle in its surface. */
  numberOf(logged: number): number {
    return this.ints[INTS * logged + TRIANGLE.number / 4];
  }
}
