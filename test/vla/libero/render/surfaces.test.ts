import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { createRenderer, type Renderer } from "../../../../vla/libero/render/renderer.ts";
import { compile, type Loaded } from "./inline-model.ts";

/** 4 m above the origin, looking down; half the picture's height is 4 tan(fovy/2) metres. */
const TOP = '<camera name="top" pos="0 0 4" fovy="45"/>';
const SIZE = 32;
const METRES = (8 * Math.tan(Math.PI / 8)) / SIZE;

const looking = ({ mj, model, data }: Loaded): Renderer =>
  createRenderer(mj, model, data, { width: SIZE, height: SIZE });

describe("depth and geoms of a picture", () => {
  property.prop([fc.integer({ min: 20, max: 100 }), fc.integer({ min: -50, max: 150 })], { numRuns: 12 })(
    "a sphere's depth is that of the ray through each pixel's first sample",
    async (...centimetres) => {
      const [radius, height] = centimetres.map((n) => n / 100);
      using scene = await compile(
        `${TOP}<geom type="ellipsoid" size="${radius} ${radius} ${radius}" pos="0 0 ${height}"/>`,
      );
      const renderer = looking(scene);
      const [depth, geoms] = [renderer.depth("top"), renderer.geoms("top")];
      const away = 4 - height;
      for (let y = 0; y < SIZE; y++) {
        for (let x = 0; x < SIZE; x++) {
          const ray = (dx: number, dy: number): number => {
            // |t (u, v, 1) − (0, 0, away)| = radius, the nearer t; u, v per metre of depth.
            const [u, v] = [((x + dx - SIZE / 2) * METRES) / 4, ((y + dy - SIZE / 2) * METRES) / 4];
            const a = u * u + v * v + 1;
            const rest = away * away - a * (away * away - radius * radius);
            return rest < 0 ? Number.POSITIVE_INFINITY : (away - Math.sqrt(rest)) / a;
          };
          const expected = ray(0.375, 0.125);
          // A mesh of flat pieces lies up to 2 % of the radius inside the sphere; its rim may be missed by a pixel.
          const rim = Math.abs(Math.hypot(x - SIZE / 2, y - SIZE / 2) * METRES * (away / 4) - radius) < 0.15;
          if (rim) continue;
          if (Number.isFinite(expected))
            expect(Math.abs(depth.get(y, x) - expected)).toBeLessThan(0.06 * radius);
          else expect(depth.get(y, x)).toBe(Number.POSITIVE_INFINITY);
          expect(geoms.get(y, x)).toBe(Number.isFinite(ray(0.5, 0.5)) ? 0 : -1);
        }
      }
    },
  );

  test("the bottom row comes first, and the nearer geom wins", async () => {
    using scene = await compile(`${TOP}
      <geom type="box" size="2 2 .5"/>
      <geom type="box" size=".4 .4 .2" pos="0 1 1"/>`);
    const renderer = looking(scene);
    const row = SIZE / 2 + Math.round(1 / (METRES * (2.8 / 4)));
    expect(renderer.geoms("top").get(row, SIZE / 2)).toBe(1);
    expect(renderer.geoms("top").get(SIZE - row, SIZE / 2)).toBe(0);
    expect(renderer.depth("top").get(row, SIZE / 2)).toBeCloseTo(2.8, 5);
    expect(renderer.depth("top").get(SIZE - row, SIZE / 2)).toBeCloseTo(3.5, 5);
  });

  test("depth looks through what is transparent, geoms name it; a site hides the geom behind it", async () => {
    using scene = await compile(`${TOP}
      <geom type="box" size="2 2 .5"/>
      <geom type="box" size="2 2 .1" pos="0 0 1" rgba="1 1 1 .5"/>
      <site type="box" size=".5 .5 .1" pos="0 0 2" rgba="1 1 1 -1"/>`);
    const renderer = looking(scene);
    expect(renderer.depth("top").get(2, 2)).toBeCloseTo(3.5, 5);
    expect(renderer.geoms("top").get(2, 2)).toBe(1);
    expect(renderer.geoms("top").get(SIZE / 2, SIZE / 2)).toBe(-1);
    expect(renderer.depth("top").get(SIZE / 2, SIZE / 2)).toBeCloseTo(3.5, 5);
  });

  test("pictures stay as they are when other things are asked in between", async () => {
    using scene = await compile(`${TOP}<geom type="sphere" size=".7"/>`);
    const renderer = looking(scene);
    const before = renderer.render("top").data;
    renderer.depth("top");
    renderer.geoms("top");
    expect(renderer.render("top").data).toEqual(before);
    expect(() => renderer.depth("none")).toThrow('expected a camera of the model (top), found "none"');
  });
});
