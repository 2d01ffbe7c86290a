import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { describe, expect } from "vitest";
import { readSafetensors } from "../../../core/index.ts";
import { processImage, resizeImage } from "../../../vla/florence2/image-processor.ts";
import type { Image } from "../../../vla/observation.ts";

const picture = (side: number, level: (row: number, column: number, channel: number) => number): Image => {
  const data = new Uint8Array(side * side * 3);
  for (let i = 0; i < data.length; i++) {
    data[i] = level(Math.trunc(i / (3 * side)), Math.trunc(i / 3) % side, i % 3);
  }
  return ndarray(data, [side, side, 3]);
};
const pictures = fc
  .integer({ min: 1, max: 24 })
  .chain((side) => fc.uint8Array({ minLength: side * side * 3, maxLength: side * side * 3 }))
  .map((data): Image => {
    const side = Math.sqrt(data.length / 3);
    return ndarray(data, [side, side, 3]);
  });
const size = fc.integer({ min: 1, max: 24 });
const toPlanes = (image: Image): Uint8Array => resizeImage(image, image.shape[0]);

describe("resizing", () => {
  test.prop([pictures])("to the same size changes nothing but the order of axes", (image) => {
    const [side] = image.shape;
    const planes = toPlanes(image);
    const expected = planes.map((_, i) => {
      const [channel, row, column] = [Math.trunc(i / side ** 2), Math.trunc(i / side) % side, i % side];
      return image.get(row, column, channel);
    });
    expect(planes).toEqual(expected);
  });

  test.prop([pictures, size])(
    "stays between the darkest and the lightest level of a channel",
    (image, to) => {
      const planes = resizeImage(image, to);
      for (let channel = 0; channel < 3; channel++) {
        const before = Array.from(image.pick(null, null, channel).data.filter((_, i) => i % 3 === channel));
        const after = planes.subarray(channel * to * to, (channel + 1) * to * to);
        expect(Math.min(...after)).toBeGreaterThanOrEqual(Math.min(...before));
        expect(Math.max(...after)).toBeLessThanOrEqual(Math.max(...before));
      }
    },
  );

  test.prop([fc.nat(255), fc.integer({ min: 1, max: 24 }), size])(
    "keeps a flat picture flat",
    (level, side, to) => {
      expect(
        new Set(
          resizeImage(
            picture(side, () => level),
            to,
          ),
        ),
      ).toEqual(new Set([level]));
    },
  );

  test.prop([pictures, size])("commutes with turning rows into columns, to one level", (image, to) => {
    // One level: the two orders of summation round apart where a value lies between two levels.
    const planes = resizeImage(image, to);
    const turned = resizeImage(image.transpose(1, 0, 2), to);
    const worst = planes.reduce((most, level, i) => {
      const [channel, row, column] = [Math.trunc(i / to ** 2), Math.trunc(i / to) % to, i % to];
      return Math.max(most, Math.abs(level - turned[(channel * to + column) * to + row]));
    }, 0);
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("averages when it halves: 2x2 boxes under the triangle's four taps", () => {
    // r = 2: taps at distance 1/2 and 3/2 of half width 2, weights 3/8 and 1/8 twice (edges: 3/7, 3/7, 1/7).
    const ramp = picture(8, (_, column) => column * 30);
    const row = resizeImage(ramp, 4).subarray(0, 4);
    expect([...row]).toEqual([Math.round((30 * (3 + 2)) / 7), 75, 135, Math.round(30 * (7 - 5 / 7))]);
  });

  test("reads a view through its strides, and keeps the order of rows", () => {
    const image = picture(6, (row, column, channel) => row * 40 + column * 5 + channel);
    const upsideDown = image.step(-1);
    const planes = toPlanes(upsideDown);
    expect(planes[0]).toBe(image.get(5, 0, 0));
    expect(planes).toEqual(
      toPlanes(picture(6, (row, column, channel) => image.get(5 - row, column, channel))),
    );
  });
});

/** What a level becomes, in float64. */
const normal = (level: number, channel: number, gain = 1): number => {
  const mean = [0.48145466, 0.4578275, 0.40821073][channel];
  const std = [0.26862954, 0.26130258, 0.27577711][channel];
  return (Math.min(1, (level / 255) * gain) - mean) / std;
};

/** Float32 steps: a few roundings of values below 4. */
const expectClose = (values: Float32Array, expected: (i: number) => number): void => {
  values.forEach((value, i) => {
    if (Math.abs(value - expected(i)) > 2e-6) expect(`${i}: ${value}`).toBe(`${i}: ${expected(i)}`);
  });
};

describe("what the vision tower sees", () => {
  const offset = fc.integer({ min: -12, max: 12 });
  const gains = fc.double({ min: 0, max: 3, noNaN: true });

  test.prop([pictures, size, offset, offset, gains])(
    "is the resized picture, cut out further on, its edges repeated, brightened and normalised",
    (image, to, dx, dy, gain) => {
      const resized = resizeImage(image, to);
      const inside = (i: number): number => Math.min(to - 1, Math.max(0, i));
      const values = processImage(image, to, { dx, dy }, gain);
      expect(values).toHaveLength(3 * to * to);
      expectClose(values, (i) => {
        const [channel, row, column] = [Math.trunc(i / to ** 2), Math.trunc(i / to) % to, i % to];
        return normal(resized[(channel * to + inside(row + dy)) * to + inside(column + dx)], channel, gain);
      });
    },
  );

  test.prop([pictures, size])("without shift and gain is every level normalised", (image, to) => {
    const values = processImage(image, to);
    expect(values).toEqual(processImage(image, to, { dx: 0, dy: 0 }, 1));
    const resized = ndarray(resizeImage(image, to), [to, to, 3], [to, 1, to * to]); // planes
    expect(values).toEqual(processImage(resized, to));
  });

  test.prop([pictures, size, offset, offset])(
    "does not mind how a picture lies in memory",
    (image, to, dx, dy) => {
      const upsideDown = image.step(-1);
      const [side] = image.shape;
      const copy = picture(side, (row, column, channel) => image.get(side - 1 - row, column, channel));
      expect(processImage(upsideDown, to, { dx, dy })).toEqual(processImage(copy, to, { dx, dy }));
    },
  );

  test("is written where it is wanted", () => {
    const image = picture(4, (row, column, channel) => row * 40 + column * 5 + channel);
    const batch = new Float32Array(2 * 48).fill(9);
    const out = batch.subarray(48);
    expect(processImage(image, 4, undefined, undefined, out)).toBe(out);
    expect(out).toEqual(processImage(image, 4));
    expect(batch.subarray(0, 48).every((value) => value === 9)).toBe(true);
  });

  test("is refused for half a pixel, a gain that is none, and too little room", () => {
    const image = picture(2, () => 7);
    expect(() => processImage(image, 2, { dx: 0.5, dy: 0 })).toThrow("whole pixels, got (0.5, 0)");
    for (const gain of [-1, Number.NaN, Infinity])
      expect(() => processImage(image, 2, undefined, gain)).toThrow(`not negative, got ${gain}`);
    expect(() => processImage(image, 2, undefined, 1, new Float32Array(11))).toThrow("12 numbers, got 11");
  });
});

test.each<[string, Image, RegExp]>([
  [
    "a float picture",
    ndarray(new Float32Array(12), [2, 2, 3]) as unknown as Image,
    /got Float32Array \(2, 2, 3\)/,
  ],
  ["a batch", ndarray(new Uint8Array(12), [1, 2, 2, 3]), /\(N, N, 3\), got Uint8Array \(1, 2, 2, 3\)/],
  ["planes", ndarray(new Uint8Array(12), [3, 2, 2]), /\(N, N, 3\)/],
  ["an oblong", ndarray(new Uint8Array(18), [2, 3, 3]), /square picture, got Uint8Array \(2, 3, 3\)/],
  ["nothing", ndarray(new Uint8Array(0), [0, 0, 3]), /square picture/],
])("%s is refused", (_, image, message) => {
  expect(() => processImage(image, 112)).toThrow(message);
});

const goldens = process.env.NINA_GOLDENS;

describe.skipIf(!goldens)("the reference's pictures (needs NINA_GOLDENS)", () => {
  if (!goldens) return;
  const folder = join(goldens, "nina");
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const { config } = manifest.cases.find((c: { name: string }) => c.name === "image");
  const tensors = readSafetensors(join(folder, "image.safetensors"));

  test.each(
    config as readonly { index: number; source: number; resized: number; pad: number; shift_xy: number[] }[],
  )("$source to $resized", ({ index, resized: to, pad, shift_xy: [x, y] }) => {
    const stored = (name: string) => tensors.get(`i${index}.${name}`);
    const { data, shape } = stored("image_hwc")!;
    const image = ndarray(data as Uint8Array, [...shape]);

    // The reference allows a level on 1 % of pixels; with its own roundings none is left.
    expect(resizeImage(image, to)).toEqual(stored("resized_u8")!.data);

    // Large pictures are stored every eighth pixel.
    const thin = (planes: Float32Array): Float32Array =>
      to <= 14 ? planes : planes.filter((_, i) => i % 8 === 0 && Math.trunc(i / to) % 8 === 0);
    expect(thin(processImage(image, to))).toEqual((stored("val") ?? stored("val_sub8"))!.data);

    // The reference shifts by sampling a grid, off an integer crop by up to 2.4e-3 grey levels: / 255 / std.
    const shifted = thin(processImage(image, to, { dx: x - pad, dy: y - pad }));
    const train = stored("train")!.data as Float32Array;
    const worst = shifted.reduce((most, value, i) => Math.max(most, Math.abs(value - train[i])), 0);
    expect(worst).toBeLessThan(2.4e-3 / 255 / 0.26);
  });
});
