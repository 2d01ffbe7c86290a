import type { Image } from "../observation.ts";

const f32 = Math.fround;

/** Channel means and deviations of CLIP, which the policies use in place of Florence-2's own; RGB in [0, 1]. */
const MEAN = [0.48145466, 0.4578275, 0.40821073];
const STD = [0.26862954, 0.26130258, 0.27577711];

/** Training's augmentation: the picture padded by `pad` pixels on all sides, cropped again at column x, row y. */
export interface Shift {
  readonly pad: number;
  /** Integers in 0..2*pad; x = y = pad leaves the picture as it is. */
  readonly x: number;
  readonly y: number;
}

/** Draws a shift, x and y apart and uniform; `random` gives numbers in [0, 1). Pads: 10 static, 4 wrist camera. */
export function randomShift(pad: number, random: () => number): Shift {
  const draw = (): number => Math.floor(random() * (2 * pad + 1));
  return { pad, x: draw(), y: draw() };
}

/**
 * A camera picture (N, N, 3) → what the vision tower sees: resized to (size, size), shifted when training, scaled to
 * [0, 1] and normalised. Result (3, size, size), channels first. Rows keep their order: a picture stored bottom row
 * first stays so, as in the demonstrations.
 */
export function processImage(image: Image, size: number, shift?: Shift): Float32Array {
  const resized = resizeImage(image, size);
  return normaliseImage(shift === undefined ? resized : shiftImage(resized, size, shift));
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
  const taps = makeTaps(side, size);
  const [rowStride, columnStride, channelStride] = image.stride;

  const planes = new Uint8Array(3 * size * size);
  const narrow = new Float32Array(side * size); // one channel, columns resized
  for (let channel = 0; channel < 3; channel++) {
    for (let row = 0; row < side; row++) {
      const start = image.offset + row * rowStride + channel * channelStride;
      for (let column = 0; column < size; column++) {
        const { first, weights } = taps[column];
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum = f32(sum + weights[k] * image.data[start + (first + k) * columnStride]);
        }
        narrow[row * size + column] = sum;
      }
    }
    for (let row = 0; row < size; row++) {
      const { first, weights } = taps[row];
      for (let column = 0; column < size; column++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum = f32(sum + weights[k] * narrow[(first + k) * size + column]);
        }
        planes[(channel * size + row) * size + column] = roundToEven(sum);
      }
    }
  }
  return planes;
}

/** Planes (3, size, size) → the same, shifted; what comes in at the edges repeats the edge. */
export function shiftImage(planes: Uint8Array, size: number, { pad, x, y }: Shift): Uint8Array {
  for (const offset of [x, y]) {
    if (!Number.isInteger(offset) || offset < 0 || offset > 2 * pad) {
      throw new Error(`shiftImage: expected offsets in 0..${2 * pad} for pad ${pad}, got (${x}, ${y})`);
    }
  }
  const inside = (i: number): number => Math.min(size - 1, Math.max(0, i));
  const columns = Int32Array.from({ length: size }, (_, column) => inside(column + x - pad));
  const out = new Uint8Array(planes.length);
  for (let channel = 0, i = 0; channel < 3; channel++) {
    for (let row = 0; row < size; row++) {
      const start = (channel * size + inside(row + y - pad)) * size;
      for (let column = 0; column < size; column++) out[i++] = planes[start + columns[column]];
    }
  }
  return out;
}

/** Grey levels of planes (3, …) → (level / 255 - mean) / std, each step in float32. */
export function normaliseImage(planes: Uint8Array): Float32Array {
  const out = new Float32Array(planes.length);
  const length = planes.length / 3;
  for (let channel = 0; channel < 3; channel++) {
    const table = LEVELS[channel];
    for (let i = channel * length; i < (channel + 1) * length; i++) out[i] = table[planes[i]];
  }
  return out;
}

/** Per channel, the normalised value of each of the 256 grey levels. */
const LEVELS: readonly Float32Array[] = MEAN.map((mean, channel) => {
  const [m, s] = [f32(mean), f32(STD[channel])];
  return Float32Array.from({ length: 256 }, (_, level) => f32(f32(level / 255) - m) / s);
});

interface Taps {
  readonly first: number;
  readonly weights: Float32Array;
}

/**
 * For each output pixel the input pixels under a triangle: centred at c = (i + 1/2) r with r = from / to, of half width
 * s = max(r, 1), weight max(0, 1 - |j + 1/2 - c| / s), weights summing to one. Enlarging (r < 1) is plain bilinear.
 */
function makeTaps(from: number, to: number): Taps[] {
  const ratio = f32(from / to);
  const support = Math.max(ratio, 1);
  const narrowing = f32(1 / support);
  return Array.from({ length: to }, (_, i) => {
    const center = f32(ratio * (i + 0.5));
    const first = Math.max(0, Math.trunc(f32(f32(center - support) + 0.5)));
    const end = Math.min(from, Math.trunc(f32(f32(center + support) + 0.5)));
    const weights = Float32Array.from({ length: end - first }, (_, k) => {
      const distance = Math.abs(f32(f32(first + k - center) + 0.5));
      return Math.max(0, 1 - f32(distance * narrowing));
    });
    const total = weights.reduce((sum, weight) => f32(sum + weight), 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

/** Rounds a value in [0, 255] to a whole number, ties to even. */
function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
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
