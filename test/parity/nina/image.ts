import ndarray from "ndarray";
import { processImage, resizeImage } from "../../../vla/florence2/image-processor.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { Golden, type GoldenCase } from "./golden.ts";

interface ImageCase extends GoldenCase {
  readonly config: readonly {
    readonly index: number;
    readonly source: number;
    readonly resized: number;
    readonly pad: number;
    readonly shift_xy: readonly [x: number, y: number];
    /** How far the reference's bilinear shift is from an integer crop, grey levels. */
    readonly crop_max_abs_dev: number;
  }[];
}

/** Share of pixels that may be off by one level: exact ties, decided by the order of a float32 sum. */
const TIES = 0.01;
/** Division and normalisation in float32. */
const ROUNDING = 1e-6;
/** One grey level after division by 255 and by the smallest of CLIP's deviations. */
const LEVEL = 1 / 255 / 0.26130258;

/** Resizing, the training shift, and what the network finally sees, with and without the shift. */
export function imageCase(dir: string, one: ImageCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const { index, source, resized: size, pad, shift_xy, crop_max_abs_dev } of one.config) {
      const at = (name: string): string => `i${index}.${name}`;
      const bytes = (name: string): Uint8Array => golden.host(at(name)).data as Uint8Array;

      const resized = resizeImage(ndarray(bytes("image_hwc"), [source, source, 3]), size);
      const expected = bytes("resized_u8");
      worst.compare(at("resized"), resized, expected, 1);
      const off = resized.filter((level, i) => level !== expected[i]).length;
      worst.add(at("share of pixels off by one"), off / resized.length, TIES);

      // From here on from the golden pixels, so that a tie does not count three times.
      const [x, y] = shift_xy;
      const image = ndarray(expected, [size, size, 3], [size, 1, size * size]); // planes
      const shift = { dx: x - pad, dy: y - pad };
      const crop = crop_max_abs_dev + ROUNDING;
      for (const [name, values, tolerance] of [
        ["val", processImage(image, size), ROUNDING],
        ["train", processImage(image, size, shift), crop * LEVEL + ROUNDING],
      ] as const) {
        const stored = [name, `${name}_sub8`].find((candidate) => golden.has(at(candidate)));
        if (stored === undefined) throw new Error(`${one.file}: no tensor ${at(name)}`);
        const side = golden.host(at(stored)).shape[1];
        worst.compare(at(stored), every(values, size, side), golden.numbers(at(stored)), tolerance);
      }
    }
    return worst.result();
  };
}

/** Every n-th pixel of every n-th row so that `side` of `size` remain, per plane. */
function every(planes: Float32Array, size: number, side: number): number[] {
  const step = size / side;
  return Array.from({ length: 3 * side * side }, (_, i) => {
    const [plane, row, column] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side];
    return planes[(plane * size + row * step) * size + column * step];
  });
}
