import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Projection } from "../../../../vla/libero/render/projection.ts";
import { createRenderer } from "../../../../vla/libero/render/renderer.ts";
import { compile, type Loaded } from "./inline-model.ts";

type Vector = [number, number, number];

const SIDE = 48;
const EYE: Vector = [0.3, -0.2, 1];

/** A ball before a camera that is turned by Euler angles, degrees. */
const ballBefore = (ball: Vector, radius: number, fovy: number, turn: Vector): Promise<Loaded> =>
  compile(`
    <camera name="eye" pos="${EYE.join(" ")}" fovy="${fovy}" euler="${turn.join(" ")}"/>
    <geom type="sphere" size="${radius}" pos="${ball.join(" ")}"/>`);

function projected({ mj, model, data }: Loaded, point: Vector): [number, number] | null {
  const projection = new Projection(mj, model, "eye");
  projection.look(data);
  return projection.project(point);
}

const geomsSeen = ({ mj, model, data }: Loaded) =>
  createRenderer(mj, model, data, { width: SIDE, height: SIDE }).geoms("eye");

/** Thousandths: MuJoCo refuses the tiny numbers that doubles shrink to. */
const thousandths = (min: number, max: number) =>
  fc.integer({ min: 1000 * min, max: 1000 * max }).map((n) => n / 1000);
const points = fc.tuple(thousandths(-0.6, 0.6), thousandths(-0.6, 0.6), thousandths(-0.5, 0.4));
const turns = fc.tuple(thousandths(-25, 25), thousandths(-25, 25), thousandths(-25, 25));

describe("a point's projection", () => {
  test.prop([points, thousandths(20, 90), turns], { numRuns: 100 })(
    "is the pixel that the renderer draws it on",
    async (ball, fovy, turn) => {
      // A pixel wide at the point's distance, so that the ball covers the centre of its pixel.
      const distance = Math.hypot(...ball.map((x, k) => x - EYE[k]));
      const radius = (2 * Math.tan((fovy * Math.PI) / 360) * distance) / SIDE;
      using loaded = await ballBefore(ball, radius, fovy, turn);
      const [u, v] = projected(loaded, ball) as [number, number];
      const geoms = geomsSeen(loaded);
      const beside = Math.max(-u, u - 1, -v, v - 1) * SIDE;
      if (beside < 0) expect(geoms.get(Math.floor(v * SIDE), Math.floor(u * SIDE))).toBe(0);
      // Seen aslant a ball is drawn longer than it is, at these angles less than three times.
      if (beside > 3) expect(Math.max(...geoms.data)).toBe(-1);
    },
  );

  test("is given from the bottom left corner, and the middle of what is seen of a ball", async () => {
    const ball: Vector = [0.42, 0.11, 0.2];
    using loaded = await ballBefore(ball, 0.05, 60, [0, 0, 0]);
    const [u, v] = projected(loaded, ball) as [number, number];
    // A camera that is not turned looks down along −z, x to the right and y up.
    const perMetre = 1 / (2 * Math.tan(Math.PI / 6) * 0.8);
    expect(u).toBeCloseTo(0.5 + perMetre * 0.12, 12);
    expect(v).toBeCloseTo(0.5 + perMetre * 0.31, 12);
    const geoms = geomsSeen(loaded);
    const seen = [...geoms.data.keys()].filter((pixel) => geoms.data[pixel] === 0);
    const mean = (of: (pixel: number) => number): number =>
      seen.reduce((sum, pixel) => sum + of(pixel), 0) / seen.length;
    // The centre of a pixel is half a pixel in. Pixels are whole, and a ball beside the axis leans outwards a little.
    expect(Math.abs(mean((pixel) => (pixel % SIDE) + 0.5) - u * SIDE)).toBeLessThan(0.3);
    expect(Math.abs(mean((pixel) => Math.floor(pixel / SIDE) + 0.5) - v * SIDE)).toBeLessThan(0.3);
  });

  test("does not exist behind the camera, nor for a camera that the model lacks", async () => {
    using loaded = await ballBefore([0, 0, 0], 0.05, 60, [0, 0, 0]);
    expect(projected(loaded, [0.3, -0.2, 1.2])).toBeNull();
    expect(() => new Projection(loaded.mj, loaded.model, "nose")).toThrow(
      'Projection: expected a camera of the model, found "nose"',
    );
  });
});
