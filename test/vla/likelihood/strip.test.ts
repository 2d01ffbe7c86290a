import { decode } from "fast-png";
import ndarray from "ndarray";
import { expect, test } from "vitest";
import { drawStrip, type Moment } from "../../../vla/likelihood/strip.ts";
import { Witness } from "../../../vla/likelihood/witness.ts";
import type { Image, Observation } from "../../../vla/observation.ts";

/** A picture whose red says which moment it is, its lower half dark. */
const picture = (moment: number): Image => {
  const image = ndarray(new Uint8Array(64 * 64 * 3), [64, 64, 3]);
  for (let row = 32; row < 64; row++)
    for (let column = 0; column < 64; column++) image.set(row, column, 0, 100 + moment);
  return image;
};
const moments = Array.from({ length: 15 }, (_, i): Moment => ({ image: picture(i), logProb: -i }));

test("a strip shows eight moments from the first to the last, upright, twice as large", () => {
  const { width, height, data, channels } = decode(drawStrip(moments, "title"));
  expect(channels).toBe(3);
  const at = (x: number, y: number): number[] =>
    [...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)].map(Number);
  const left = (column: number): number => 64 + column * (128 + 6);
  for (let column = 0; column < 8; column++) {
    expect(at(left(column) + 5, 22)).toEqual([100 + 2 * column, 0, 0]); // stored last: the top
    expect(at(left(column) + 5, 140)).toEqual([0, 0, 0]);
  }
  expect(width).toBe(left(8));
  expect(height).toBeGreaterThan(200);
});

test("its curve falls where the log-probability does", () => {
  const { width, height, data } = decode(drawStrip(moments, ""));
  /** The middle row of what is blue in a column. */
  const curve = (x: number): number => {
    const rows = Array.from({ length: height - 170 }, (_, i) => 170 + i).filter((y) => {
      const [red, , blue] = data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3);
      return blue - red > 100;
    });
    return rows.reduce((sum, y) => sum + y, 0) / rows.length;
  };
  const heights = [200, 500, 800, 1000].map(curve);
  for (let i = 1; i < heights.length; i++) expect(heights[i]).toBeGreaterThan(heights[i - 1] + 5);
});

test("an episode of one chunk has a strip, one without any has none", () => {
  expect(decode(drawStrip(moments.slice(0, 1), "one")).width).toBeGreaterThan(1000);
  expect(() => drawStrip([], "none")).toThrow("expected at least one moment, got none");
});

test("a witness plays as the policy does, and keeps the last episode's moments", async () => {
  const image = picture(3);
  const asked: unknown[] = [];
  const witness = new Witness({
    name: "one",
    reset: (seed) => void asked.push(seed),
    act: (_seen, instruction, request) => {
      asked.push(instruction, request);
      return { actions: [[0, 0, 0, 0, 0, 0, 0]], logProb: -4, logProbTerms: { base: -5, layers: [3, -2] } };
    },
  });
  const seen = { agentview_image: image } as Observation;
  witness.reset(7);
  expect(await witness.act(seen, "go", { logProb: true })).toMatchObject({ logProb: -4 });
  expect(asked).toEqual([7, "go", { logProb: true }]);
  expect(witness.moments).toEqual([{ image, logProb: -4, logDet: 1 }]);
  witness.reset(8);
  expect(witness.moments).toEqual([]);
});
