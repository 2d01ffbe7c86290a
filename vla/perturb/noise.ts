import ndarray from "ndarray";
import type { Mt19937 } from "../libero/mt19937.ts";
import type { Image } from "../observation.ts";
import { compress } from "./compress.ts";
import type { Level } from "./dimensions.ts";
import { sign } from "./draws.ts";

/**
 * What a bad sensor does to its pictures. LIBERO-plus has three blurs, fog and glass, for the camera in front alone.
 */
export const NOISE_KINDS = ["blur", "motion", "grain", "compression", "exposure"] as const;

/** What happens to all pictures of an episode. */
export type SensorFault =
  /** Standard deviation of a Gaussian, in parts of the picture's side. */
  | { readonly kind: "blur"; readonly spread: number }
  /** Length of a stroke in parts of the picture's side, and its direction in degrees. */
  | { readonly kind: "motion"; readonly length: number; readonly degrees: number }
  /** Standard deviation of what is added to each byte. */
  | { readonly kind: "grain"; readonly spread: number }
  /** Factor of JPEG's own table of steps. */
  | { readonly kind: "compression"; readonly steps: number }
  /** Factor of all brightness; what is above white stays white. */
  | { readonly kind: "exposure"; readonly gain: number };

/** Per level. A blur of 2 pixels in 256 is LIBERO-plus's: it has ten severities, of 1 to 10 pixels. */
const BLUR = 2 / 256;
const STROKE = 6 / 256;
const GRAIN = 12;
const STEPS = 0.75;
const STOP = 2 ** 0.35;

/** The fault of an episode. */
export function drawFault(level: Level, draws: Mt19937): SensorFault {
  const kind = NOISE_KINDS[draws.integer(NOISE_KINDS.length)];
  switch (kind) {
    case "blur":
      return { kind, spread: BLUR * level };
    case "motion":
      return { kind, length: STROKE * level, degrees: draws.uniform(-45, 45) };
    case "grain":
      return { kind, spread: GRAIN * level };
    case "compression":
      return { kind, steps: STEPS * 2 ** level };
    case "exposure":
      return { kind, gain: STOP ** (level * sign(draws)) };
  }
}

/** A new picture as the bad sensor gives it, (H, W, 3); `draws` are those of this one picture. */
export function spoil(image: Image, fault: SensorFault, draws: Mt19937): Image {
  const [height, width] = image.shape;
  const at = (x: number, y: number, c: number): number =>
    image.get(Math.min(height - 1, Math.max(0, y)), Math.min(width - 1, Math.max(0, x)), c);
  /** At a point between pixels, bilinear: a stroke may be shorter than one. */
  const between = (x: number, y: number, c: number): number => {
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const row = (y: number): number => at(x0, y, c) + (x - x0) * (at(x0 + 1, y, c) - at(x0, y, c));
    return row(y0) + (y - y0) * (row(y0 + 1) - row(y0));
  };
  const make = (value: (x: number, y: number, c: number) => number): Image => {
    const bytes = new Uint8ClampedArray(3 * width * height); // rounds, and stays within a byte
    let i = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) bytes[i++] = value(x, y, c);
    return ndarray(new Uint8Array(bytes.buffer), [height, width, 3]);
  };
  switch (fault.kind) {
    case "blur":
      return blur(image, fault.spread * width);
    case "motion": {
      const length = fault.length * width;
      const angle = (fault.degrees * Math.PI) / 180;
      const count = Math.max(2, Math.ceil(2 * length) + 1);
      const steps = Array.from({ length: count }, (_, i) => {
        const along = (i / (count - 1) - 0.5) * length;
        return [along * Math.cos(angle), along * Math.sin(angle)];
      });
      return make((x, y, c) => steps.reduce((sum, [dx, dy]) => sum + between(x + dx, y + dy, c), 0) / count);
    }
    case "grain":
      return make((x, y, c) => at(x, y, c) + fault.spread * draws.gauss());
    case "compression":
      return make(compress(image, fault.steps));
    case "exposure":
      return make((x, y, c) => fault.gain * at(x, y, c));
  }
}

/** Rows, then columns, with a Gaussian of standard deviation `spread` pixels; the picture's edge goes on beyond it. */
function blur(image: Image, spread: number): Image {
  const [height, width] = image.shape;
  const reach = Math.ceil(3 * spread);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / spread) ** 2),
  );
  const total = weights.reduce((sum, w) => sum + w, 0);
  const rows = new Float32Array(3 * width * height);
  const bytes = new Uint8ClampedArray(3 * width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++)
          sum += weights[k + reach] * image.get(y, Math.min(width - 1, Math.max(0, x + k)), c);
        rows[3 * (y * width + x) + c] = sum / total;
      }
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++)
          sum += weights[k + reach] * rows[3 * (Math.min(height - 1, Math.max(0, y + k)) * width + x) + c];
        bytes[3 * (y * width + x) + c] = sum / total;
      }
  return ndarray(new Uint8Array(bytes.buffer), [height, width, 3]);
}

/** How close a picture is to another, decibels: 10 log₁₀(255² / mean squared difference); Infinity for the same. */
export function psnr(a: Image, b: Image): number {
  const [height, width] = a.shape;
  let sum = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) sum += (a.get(y, x, c) - b.get(y, x, c)) ** 2;
  return 10 * Math.log10((255 ** 2 * 3 * width * height) / sum);
}
