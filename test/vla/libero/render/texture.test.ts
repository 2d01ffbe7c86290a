import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { RenderMemory } from "../../../../vla/libero/render/memory.ts";
import { holdTexture, type Level, LINEAR, Pyramid } from "../../../../vla/libero/render/texture.ts";
import { sample2d, sampleCube } from "./plain/sampling.ts";

const memory = new RenderMemory();

/** A level whose red is its column, green its row, blue `blue`. */
function gradient(width: number, height: number, blue = 0): Level {
  const texels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) texels.set([x, y, blue], 3 * (y * width + x));
  }
  return { width, height, texels };
}

const pyramid = ({ width, height, texels }: Level, srgb = false): Pyramid =>
  new Pyramid(memory, 0, width, height, srgb, () => texels);

describe("mipmaps", () => {
  property.prop([
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 40 }),
    fc.nat(255),
    fc.boolean(),
  ])("halve down to one texel and keep an even colour", (width, height, value, srgb) => {
    const all = pyramid({ width, height, texels: new Uint8Array(3 * width * height).fill(value) }, srgb);
    expect(all.count).toBe(1 + Math.floor(Math.log2(Math.max(width, height))));
    // The coarsest first: it must not need that the others were made before.
    const levels = Array.from({ length: all.count }, (_, i) => all.level(all.count - 1 - i)).reverse();
    levels.forEach((level, i) => {
      expect(level.width).toBe(Math.max(1, width >> i));
      expect(level.height).toBe(Math.max(1, height >> i));
      expect(level.texels.every((texel) => texel === value)).toBe(true);
    });
  });

  test("are made when they are looked at", () => {
    let reads = 0;
    const lazy = new Pyramid(memory, 0, 4, 4, false, () => {
      reads++;
      return new Uint8Array(48);
    });
    expect(reads).toBe(0);
    expect(lazy.level(1)).toBe(lazy.level(1));
    expect(reads).toBe(1);
  });

  test("average light, so sRGB black and white give a lighter grey", () => {
    const texels = Uint8Array.from([0, 0, 0, 255, 255, 255]);
    expect([...pyramid({ width: 2, height: 1, texels }).level(1).texels]).toEqual([128, 128, 128]);
    expect([...pyramid({ width: 2, height: 1, texels }, true).level(1).texels]).toEqual([188, 188, 188]);
  });
});

describe("a 2D lookup", () => {
  const texture = holdTexture(memory, "2d", [pyramid(gradient(16, 8, 77))], memory.copy(LINEAR));
  const out = new Float64Array(3);
  const bytes = () => [...out].map((value) => value * 255);
  const at = (u: number, v: number, spread = 0) => {
    sample2d(texture, Float64Array.of(u, v, spread, 0, 0, spread), out);
    return bytes();
  };

  test("at a texel's centre is the texel, between two their mean", () => {
    expect(at(5.5 / 16, 2.5 / 8)[0]).toBeCloseTo(5, 4);
    expect(at(5.5 / 16, 2.5 / 8)[1]).toBeCloseTo(2, 4);
    expect(at(6 / 16, 2.5 / 8)[0]).toBeCloseTo(5.5, 4);
    expect(at(0, 2.5 / 8)[0]).toBeCloseTo(7.5, 4); // the seam: columns 15 and 0
  });

  property.prop([fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })])(
    "repeats",
    (u, v) => {
      const [r, g] = at(u, v);
      const [r2, g2] = at(u + 3, v - 2);
      expect(r2).toBeCloseTo(r, 6);
      expect(g2).toBeCloseTo(g, 6);
    },
  );

  test("goes to coarser levels as a pixel spans more, down to the mean", () => {
    expect(at(0.1, 0.1, 1)[0]).toBeCloseTo(8, 0);
    expect(at(0.9, 0.4, 100)).toEqual(at(0.1, 0.1, 1000));
    // Half-way between the levels of 1 and 2 texels per pixel.
    const [fine] = at(5.5 / 16, 2.5 / 8, 1 / 16);
    const [coarse] = at(5.5 / 16, 2.5 / 8, 2 / 16);
    expect(at(5.5 / 16, 2.5 / 8, Math.SQRT2 / 16)[0]).toBeCloseTo((fine + coarse) / 2, 4);
  });
});

test("a cube lookup takes the face of the largest component, in OpenGL's order", () => {
  const faces = [0, 1, 2, 3, 4, 5].map((face) => pyramid(gradient(4, 4, face)));
  const texture = holdTexture(memory, "cube", faces, memory.copy(LINEAR));
  const out = new Float64Array(3);
  const none = new Float64Array(3);
  const at = (...direction: number[]) => {
    sampleCube(texture, Float64Array.from(direction), none, none, out);
    return [...out].map((value) => Math.round(value * 255 * 100) / 100);
  };
  // (column, row, face) for a direction half-way to one edge: u = 0.75 or 0.25 is column 2.5 or 0.5.
  expect(at(1, 0, -0.5)).toEqual([2.5, 1.5, 0]);
  expect(at(-2, 0, 1)).toEqual([2.5, 1.5, 1]);
  expect(at(0, 3, 1.5)).toEqual([1.5, 2.5, 2]);
  expect(at(0, -1, 0.5)).toEqual([1.5, 0.5, 3]);
  expect(at(0.5, 0, 1)).toEqual([2.5, 1.5, 4]);
  expect(at(0.5, 0, -1)).toEqual([0.5, 1.5, 5]);
  expect(at(0, 0.5, 1)).toEqual([1.5, 0.5, 4]);
});
