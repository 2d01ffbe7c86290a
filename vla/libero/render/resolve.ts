import { SAMPLES } from "./rasterizer.ts";

/** Writes a pixel as the mean of its samples, rounded. */
export function resolvePixel(samples: Uint8ClampedArray, pixel: number, pixels: Uint8Array): void {
  const out = 3 * pixel;
  for (let k = 0, at = SAMPLES * out; k < 3; k++, at++) {
    const sum = samples[at] + samples[at + 3] + samples[at + 6] + samples[at + 9];
    pixels[out + k] = (sum + SAMPLES / 2) / SAMPLES;
  }
}
