/** Samples per pixel, at OpenGL drivers' usual positions: one on each of four rows, on one of four columns each. */
export const SAMPLES = 4;
/** Columns of samples 0 to 3 of a pixel, two bits each: 1, 3, 0, 2. */
export const COLUMNS = 0b10_00_11_01;
/** From the pixel's centre to its first sample, pixels. */
export const FIRST_SAMPLE: readonly [x: number, y: number] = [1.5 / 4 - 0.5, 0.5 / 4 - 0.5];

/** What lies in front of each sample, row 0 at the bottom. */
export interface SampleBuffer {
  /** 1 / depth per sample (nearer is larger), 0 for nothing, (H, W, 4). */
  readonly depth: Float32Array;
  /** Number of the triangle in the rasteriser's log, or one of the negative values of triangle-log.ts, (H, W, 4). */
  readonly shown: Int32Array;
  /** 1 for pixels of which a sample was drawn, (H, W). */
  readonly touched: Uint8Array;
  /** Colour per sample: red, green, blue and an unused byte, (H, W, 4, 4). */
  readonly colors: Uint8Array;
}

/** Pixels, all four inclusive. */
export interface Rectangle {
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
  readonly top: number;
}

/** Is there a sample on these columns and rows, of four to a pixel each? */
export function holdsSample(
  firstColumn: number,
  lastColumn: number,
  firstRow: number,
  lastRow: number,
): boolean {
  const more = lastColumn - firstColumn;
  if (more >= 3 || lastRow - firstRow >= 3) return true;
  for (let row = firstRow; row <= lastRow; row++) {
    const column = (COLUMNS >> (2 * (row & 3))) & 3;
    if (((column - firstColumn) & 3) <= more) return true;
  }
  return false;
}
