import type { Image } from "../observation.ts";

const N = 8;

/** JPEG's steps for brightness (ITU-T T.81, table K.1), row by row from the mean to the finest checks. */
const STEPS = [
  [16, 11, 10, 16, 24, 40, 51, 61],
  [12, 12, 14, 19, 26, 58, 60, 55],
  [14, 13, 16, 24, 40, 57, 69, 56],
  [14, 17, 22, 29, 51, 87, 80, 62],
  [18, 22, 37, 56, 68, 109, 103, 77],
  [24, 35, 55, 64, 81, 104, 113, 92],
  [49, 64, 78, 87, 103, 121, 120, 101],
  [72, 92, 95, 98, 112, 100, 103, 99],
];

/** The cosine transform of 8 numbers as an orthogonal matrix, a list of rows. */
const BASIS = Array.from({ length: N }, (_, k) =>
  Array.from(
    { length: N },
    (_, i) => Math.sqrt((k === 0 ? 1 : 2) / N) * Math.cos(((2 * i + 1) * k * Math.PI) / (2 * N)),
  ),
);

/**
 * A picture after a compression like JPEG's: in blocks of 8 × 8, each colour's cosine transform is rounded to steps,
 * `factor` times those of the standard. Colours stay in full resolution, and nothing is written as bits.
 *
 * @returns the value at a column, row and channel; not rounded.
 */
export function compress(image: Image, factor: number): (x: number, y: number, c: number) => number {
  const [height, width] = image.shape;
  const out = new Float32Array(3 * width * height);
  const block = new Float64Array(N * N);
  const half = new Float64Array(N * N);
  for (let top = 0; top < height; top += N)
    for (let left = 0; left < width; left += N)
      for (let c = 0; c < 3; c++) {
        for (let y = 0; y < N; y++)
          for (let x = 0; x < N; x++)
            block[N * y + x] =
              image.get(Math.min(height - 1, top + y), Math.min(width - 1, left + x), c) - 128;
        multiply(half, block, (k, i) => BASIS[k][i]);
        for (let y = 0; y < N; y++)
          for (let x = 0; x < N; x++) {
            const step = factor * STEPS[y][x];
            block[N * y + x] = step * Math.round(half[N * y + x] / step);
          }
        multiply(half, block, (k, i) => BASIS[i][k]);
        for (let y = 0; y < Math.min(N, height - top); y++)
          for (let x = 0; x < Math.min(N, width - left); x++)
            out[3 * ((top + y) * width + left + x) + c] = half[N * y + x] + 128;
      }
  return (x, y, c) => out[3 * (y * width + x) + c];
}

/** out = m block mᵀ. */
function multiply(out: Float64Array, block: Float64Array, m: (k: number, i: number) => number): void {
  const rows = new Float64Array(N * N);
  for (let y = 0; y < N; y++)
    for (let k = 0; k < N; k++) {
      let sum = 0;
      for (let i = 0; i < N; i++) sum += m(k, i) * block[N * y + i];
      rows[N * y + k] = sum;
    }
  for (let k = 0; k < N; k++)
    for (let x = 0; x < N; x++) {
      let sum = 0;
      for (let i = 0; i < N; i++) sum += m(k, i) * rows[N * i + x];
      out[N * k + x] = sum;
    }
}
