import type { Image } from "../observation.ts";

type Levels = Uint8Array<ArrayBuffer>;

/** The levels of a picture (H, W, 3) row by row, whatever its strides: a copy. */
export function levelsOf({ data, shape: [height, width], stride, offset }: Image): Levels {
  const levels = new Uint8Array(height * width * 3);
  for (let row = 0, i = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      for (let channel = 0; channel < 3; channel++)
        levels[i++] = data[offset + row * stride[0] + column * stride[1] + channel * stride[2]];
  return levels;
}

/**
 * A picture (H, W, 3) made as large as fits into (size, size, 3), without distortion, in the middle of black: openpi's
 * `resize_with_pad`, to the bit. One that has that size stays as it is.
 */
export function resizeWithPadding(levels: Levels, [height, width]: readonly number[], size: number): Levels {
  if (height === size && width === size) return levels;
  const ratio = Math.max(height, width) / size;
  const [rows, columns] = [Math.trunc(height / ratio), Math.trunc(width / ratio)];
  // Columns before rows, and whole levels in between, as Pillow does it.
  const narrow = resizeAxis(levels, { outer: height, from: width, to: columns, inner: 3 });
  const resized = resizeAxis(narrow, { outer: 1, from: height, to: rows, inner: 3 * columns });
  if (rows === size && columns === size) return resized;
  const padded = new Uint8Array(size * size * 3);
  const [top, left] = [Math.trunc((size - rows) / 2), Math.trunc((size - columns) / 2)];
  for (let row = 0; row < rows; row++) {
    const line = resized.subarray(row * columns * 3, (row + 1) * columns * 3);
    padded.set(line, ((top + row) * size + left) * 3);
  }
  return padded;
}

/** Fractional bits of Pillow's weights for pictures of 8 bits. */
const BITS = 22;

/**
 * Pillow's bilinear filter along one axis of levels (outer, from, inner) → (outer, to, inner): each output pixel is a
 * sum under a triangle around its centre, as wide as the ratio of sizes where that shrinks. Weights are whole multiples
 * of 2⁻²².
 */
function resizeAxis(
  levels: Levels,
  { outer, from, to, inner }: { outer: number; from: number; to: number; inner: number },
): Levels {
  if (from === to) return levels;
  const out = new Uint8Array(outer * to * inner);
  const scale = from / to;
  const support = Math.max(scale, 1);
  for (let at = 0; at < to; at++) {
    const center = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, i) =>
      Math.max(0, 1 - Math.abs((i + first - center + 0.5) / support)),
    );
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    const weights = raw.map((weight) => Math.trunc(0.5 + (weight / total) * 2 ** BITS));
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        let sum = 2 ** (BITS - 1);
        for (let k = 0; k < weights.length; k++)
          sum += weights[k] * levels[(o * from + first + k) * inner + i];
        out[(o * to + at) * inner + i] = Math.min(255, sum >> BITS);
      }
  }
  return out;
}
