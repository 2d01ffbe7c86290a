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
  const seen = bytesOf(image);
  /** Where a pixel begins; beyond the picture, that of its edge. */
  const place = (x: number, y: number): number =>
    3 * (Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x)));
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
      const steps = Array.from({ length: count }, (_, i) => (i / (count - 1) - 0.5) * length);
      const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
      return make((x, y, c) => {
        let sum = 0;
        // Between pixels, bilinear: a stroke may be shorter than one.
        for (const along of steps) {
          const px = x + along * dx;
          const py = y + along * dy;
          const x0 = Math.floor(px);
          const y0 = Math.floor(py);
          const left = seen[place(x0, y0) + c];
          const upper = left + (px - x0) * (seen[place(x0 + 1, y0) + c] - left);
          const below = seen[place(x0, y0 + 1) + c];
          const lower = below + (px - x0) * (seen[place(x0 + 1, y0 + 1) + c] - below);
          sum += upper + (py - y0) * (lower - upper);
        }
        return sum / count;
      });
    }
    case "grain":
      return make((x, y, c) => seen[place(x, y) + c] + fault.spread * draws.gauss());
    case "compression":
      return make(compress(image, fault.steps));
    case "exposure":
      return make((x, y, c) => fault.gain * seen[place(x, y) + c]);
  }
}

/** A picture's bytes in rows, whatever its strides are: each is read many times, and this is several times as fast. */
function bytesOf(image: Image): Uint8Array {
  const [height, width] = image.shape;
  const bytes = new Uint8Array(3 * width * height);
  let i = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) bytes[i++] = image.get(y, x, c);
  return bytes;
}

/** Rows, then columns, with a Gaussian of standard deviation `spread` pixels; the picture's edge goes on beyond it. */
function blur(image: Image, spread: number): Image {
  const [height, width] = image.shape;
  const seen = bytesOf(image);
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
          sum += weights[k + reach] * seen[3 * (y * width + Math.min(width - 1, Math.max(0, x + k))) + c];
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
