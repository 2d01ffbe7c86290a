import type { Image } from "../observation.ts";

const f32 = Math.fround;

/** Channel means and deviations of CLIP, which the policies use in place of Florence-2's own; RGB in [0, 1]. */
const MEAN = [0.48145466, 0.4578275, 0.40821073];
const STD = [0.26862954, 0.26130258, 0.27577711];

/**
 * Training's augmentation: the picture is cut out again `dx` columns and `dy` rows further on, whole pixels of the
 * resized picture, and what comes in at the edges repeats the edge. So things in it move by (−dx, −dy), rows counted as
 * stored.
 */
export interface Shift {
  readonly dx: number;
  readonly dy: number;
}

const UNSHIFTED: Shift = { dx: 0, dy: 0 };

/**
 * A camera picture (N, N, 3) → what the vision tower sees: resized to (size, size), shifted, scaled to [0, 1],
 * brightened by `gain` but to 1 at most, and normalised. Result (3, size, size), channels first; written into `out`
 * where given. Rows keep their order: a picture stored bottom row first stays so, as in the demonstrations.
 */
export function processImage(
  image: Image,
  size: number,
  shift: Shift = UNSHIFTED,
  gain = 1,
  out: Float32Array = new Float32Array(3 * size * size),
): Float32Array {
  const side = checkImage(image, size);
  if (side === size) return normalise(image, size, shift, gain, out);
  return normalise(planesOf(resizeImage(image, size), size), size, shift, gain, out);
}

/**
 * Bilinear resize with antialias, (N, N, 3) → planes (3, size, size), rounded to whole grey levels, ties to even:
 * torchvision's resize of a uint8 tensor.
 *
 * At 128 → 112 many pixels lie exactly between two levels but for rounding errors, so these are the reference's own:
 * columns before rows, float32 throughout, each multiply-add rounded once. That reproduces every recorded pixel;
 * exact weights would differ by a level in one of 150.
 */
export function resizeImage(image: Image, size: number): Uint8Array {
  const side = checkImage(image, size);
  const taps = tapsFor(side, size);
  return resizeRows(resizeColumns(image, taps, size), taps, size);
}

/** (N, N, 3) levels → (N, size, 3), column by column. */
function resizeColumns({ data, offset, stride }: Image, { side, pixels }: Taps, size: number): Float32Array {
  const [rowStride, columnStride, green] = stride;
  const blue = 2 * green;
  const out = new Float32Array(side * size * 3);
  for (let column = 0; column < size; column++) {
    for (const { from, weights } of pixels[column]) {
      let [a, b, c, d] = from.map((i) => offset + i * columnStride);
      const [p, q, r, s] = weights;
      for (let at = 3 * column; at < out.length; at += 3 * size) {
        out[at] = f32(f32(f32(f32(out[at] + p * data[a]) + q * data[b]) + r * data[c]) + s * data[d]);
        out[at + 1] = f32(
          f32(f32(f32(out[at + 1] + p * data[a + green]) + q * data[b + green]) + r * data[c + green]) +
            s * data[d + green],
        );
        out[at + 2] = f32(
          f32(f32(f32(out[at + 2] + p * data[a + blue]) + q * data[b + blue]) + r * data[c + blue]) +
            s * data[d + blue],
        );
        a += rowStride;
        b += rowStride;
        c += rowStride;
        d += rowStride;
      }
    }
  }
  return out;
}

/** (N, size, 3) → planes (3, size, size) of whole levels, row by row. */
function resizeRows(narrow: Float32Array, { pixels }: Taps, size: number): Uint8Array {
  const planes = new Uint8ClampedArray(3 * size * size); // rounds to nearest, ties to even
  const sums = new Float32Array(3 * size);
  for (let row = 0; row < size; row++) {
    sums.fill(0);
    for (const { from, weights } of pixels[row]) {
      const [a, b, c, d] = from.map((i) => i * sums.length);
      const [p, q, r, s] = weights;
      for (let i = 0; i < sums.length; i++) {
        const sum = f32(f32(sums[i] + p * narrow[a + i]) + q * narrow[b + i]);
        sums[i] = f32(f32(sum + r * narrow[c + i]) + s * narrow[d + i]);
      }
    }
    for (let channel = 0; channel < 3; channel++) {
      const start = (channel * size + row) * size;
      for (let column = 0; column < size; column++) planes[start + column] = sums[3 * column + channel];
    }
  }
  return new Uint8Array(planes.buffer);
}

/** Where the levels of a picture lie: row, column, channel. */
type Levels = Pick<Image, "data" | "offset" | "stride">;

const planesOf = (data: Uint8Array, size: number): Levels => ({
  data,
  offset: 0,
  stride: [size, 1, size * size],
});

/** (level / 255 · gain, at most 1, − mean) / std, each step in float32; in [0, 1] a gain of 1 changes no digit. */
function normalise(
  { data, offset, stride }: Levels,
  size: number,
  { dx, dy }: Shift,
  gain: number,
  out: Float32Array,
): Float32Array {
  if (!Number.isInteger(dx) || !Number.isInteger(dy))
    throw new Error(`image processor: expected a shift by whole pixels, got (${dx}, ${dy})`);
  if (!(gain >= 0 && gain < Infinity))
    throw new Error(`image processor: expected a gain that is finite and not negative, got ${gain}`);
  if (out.length !== 3 * size * size)
    throw new Error(`image processor: expected room for ${3 * size * size} numbers, got ${out.length}`);
  const tables = gain === 1 ? LEVELS : levelTables(gain);
  const [rowStride, columnStride, channelStride] = stride;
  const columns = new Int32Array(size);
  for (let column = 0; column < size; column++) columns[column] = columnStride * inside(column + dx, size);
  for (let channel = 0, i = 0; channel < 3; channel++) {
    const table = tables[channel];
    for (let row = 0; row < size; row++) {
      const start = offset + channel * channelStride + inside(row + dy, size) * rowStride;
      for (let column = 0; column < size; column++) out[i++] = table[data[start + columns[column]]];
    }
  }
  return out;
}

const inside = (i: number, size: number): number => (i < 0 ? 0 : i < size ? i : size - 1);

/** Per channel, the normalised value of each of the 256 grey levels under a gain. */
function levelTables(gain: number): readonly Float32Array[] {
  return MEAN.map((mean, channel) => {
    const [m, s] = [f32(mean), f32(STD[channel])];
    const table = new Float32Array(256);
    for (let level = 0; level < 256; level++) {
      const bright = Math.min(1, f32(f32(level / 255) * gain));
      table[level] = f32(bright - m) / s;
    }
    return table;
  });
}

const LEVELS = levelTables(1);

/** Four taps of an output pixel: their weights stay in registers while a whole column or row is summed up. */
interface FourTaps {
  /** Input pixels. */
  readonly from: readonly number[];
  /** 0 for what fills the last four. */
  readonly weights: readonly number[];
}

interface Taps {
  /** Input pixels in a row. */
  readonly side: number;
  /** Of each output pixel, in the order in which they are added up. */
  readonly pixels: readonly (readonly FourTaps[])[];
}

/** Sizes seen so far: a run has one or two. */
const known = new Map<string, Taps>();

function tapsFor(from: number, to: number): Taps {
  const key = `${from} ${to}`;
  const taps = known.get(key) ?? makeTaps(from, to);
  known.set(key, taps);
  return taps;
}

/**
 * For each output pixel the input pixels under a triangle: centred at c = (i + 1/2) r with r = from / to, of half width
 * s = max(r, 1), weight max(0, 1 - |j + 1/2 - c| / s), weights summing to one. Enlarging (r < 1) is plain bilinear.
 */
function makeTaps(from: number, to: number): Taps {
  const ratio = f32(from / to);
  const support = Math.max(ratio, 1);
  const narrowing = f32(1 / support);
  const pixels = Array.from({ length: to }, (_, i): FourTaps[] => {
    const center = f32(ratio * (i + 0.5));
    const first = Math.max(0, Math.trunc(f32(f32(center - support) + 0.5)));
    const end = Math.min(from, Math.trunc(f32(f32(center + support) + 0.5)));
    const raw = Float32Array.from({ length: end - first }, (_, k) => {
      const distance = Math.abs(f32(f32(first + k - center) + 0.5));
      return Math.max(0, 1 - f32(distance * narrowing));
    });
    const total = raw.reduce((sum, weight) => f32(sum + weight), 0);
    const weights = raw.map((weight) => weight / total);
    return Array.from({ length: Math.ceil(weights.length / 4) }, (_, group) => {
      const ks = [0, 1, 2, 3].map((k) => 4 * group + k);
      return {
        from: ks.map((k) => Math.min(first + k, from - 1)),
        weights: ks.map((k) => weights[k] ?? 0),
      };
    });
  });
  return { side: from, pixels };
}

function checkImage(image: Image, size: number): number {
  const [height, width, channels] = image.shape;
  const found = `${image.data.constructor.name} (${image.shape.join(", ")})`;
  if (image.shape.length !== 3 || channels !== 3 || !(image.data instanceof Uint8Array)) {
    throw new Error(`image processor: expected a uint8 picture (N, N, 3), got ${found}`);
  }
  if (height !== width || height === 0)
    throw new Error(`image processor: expected a square picture, got ${found}`);
  if (!Number.isInteger(size) || size <= 0)
    throw new Error(`image processor: expected a size in pixels, got ${size}`);
  return height;
}
