import { fc, test } from "@fast-check/vitest";
import { decode } from "fast-png";
import { describe, expect, it } from "vitest";
import { drawPanels, label, type Panel } from "../../../vla/train/chart.ts";

describe("numbers at the axes", () => {
  test.prop([fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 })])(
    "are short, and right to two digits",
    (value) => {
      const text = label(value);
      expect(text.length).toBeLessThan(11);
      const read = text.endsWith("k") ? 1000 * Number(text.slice(0, -1)) : Number(text);
      expect(Math.abs(read - value)).toBeLessThanOrEqual(0.051 * Math.abs(value));
    },
  );

  it.each([
    [0, "0"],
    [0.30000000000000004, "0.3"],
    [-114.7, "-114.7"],
    [25_000, "25k"],
    [0.00002, "2e-5"],
  ])("%d is written %s", (value, text) => {
    expect(label(value)).toBe(text);
  });
});

/** Whether a picture holds a colour, and the mean place of its pixels. */
function find(png: Uint8Array, [r, g, b]: readonly number[]): { x: number; y: number; count: number } {
  const { data, width, height } = decode(png);
  let [x, y, count] = [0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    if (data[3 * i] !== r || data[3 * i + 1] !== g || data[3 * i + 2] !== b) continue;
    x += i % width;
    y += Math.floor(i / width);
    count++;
  }
  return { x: x / count, y: y / count, count };
}

const [BLUE, ORANGE] = [
  [0, 114, 178],
  [213, 94, 0],
];

describe("panels", () => {
  const panel = (...ys: number[][]): Panel => ({
    title: "loss",
    series: ys.map((list, i) => ({ name: `${i}`, points: list.map((y, x) => [100 * x, y] as const) })),
  });

  it("show a series below the one with larger values, whatever their order", () => {
    for (const [low, high] of [
      [BLUE, ORANGE],
      [ORANGE, BLUE],
    ]) {
      const values = [BLUE, ORANGE].map((colour) => (colour === low ? [1, 2, 1] : [8, 9, 8]));
      const png = drawPanels([panel(...values)]);
      expect(find(png, low).y).toBeGreaterThan(find(png, high).y);
    }
  });

  it("lie side by side, two in a row", () => {
    const size = (count: number): number[] => {
      const { width, height } = decode(drawPanels(Array.from({ length: count }, () => panel([1, 2]))));
      return [width, height];
    };
    expect([1, 2, 3].map(size)).toEqual([
      [480, 260],
      [960, 260],
      [960, 520],
    ]);
  });

  it.each([
    ["no", []],
    ["one", [3]],
    ["one repeated", [2, 2, 2]],
    ["huge", [-1e30, 1e30]],
  ])("draw %s value", (_, values) => {
    expect(find(drawPanels([panel(values)]), BLUE).count > 0).toBe(values.length > 0);
  });
});
