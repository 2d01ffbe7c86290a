import { Canvas, type Colour } from "../draw/canvas.ts";
import type { Image } from "../observation.ts";
import { label } from "../train/chart.ts";

/** What a policy saw in front of the robot, and how likely the chunk was that it planned, nats. */
export interface Moment {
  readonly image: Image;
  readonly logProb: number;
}

/** Pictures in a row, and their least side, pixels. */
const COLUMNS = 8;
const LEAST_SIDE = 128;
const GAP = 6;
/** Of the curve below, pixels; room for its numbers. */
const HEIGHT = 110;
const LEFT = 58;
const [INK, GRID, CURVE]: readonly Colour[] = [
  [60, 60, 60],
  [228, 228, 228],
  [0, 114, 178],
];

/**
 * A PNG of one episode: moments from its first chunk to its last, and under them log p(chunk | seen) over its chunks,
 * on an axis from the episode's least to its greatest. A tick joins each picture to its place on the curve.
 */
export function drawStrip(moments: readonly Moment[], title: string): Uint8Array {
  if (moments.length === 0) throw new Error("drawStrip: expected at least one moment, got none");
  const columns = Math.min(COLUMNS, moments.length);
  const side = moments[0].image.shape[0];
  const scale = Math.max(1, Math.ceil(LEAST_SIDE / side));
  const pitch = scale * side + GAP;
  const width = LEFT + COLUMNS * pitch + GAP;
  const canvas = new Canvas(width, 20 + pitch + HEIGHT + 20);
  canvas.text(title, LEFT, 6, "left", INK);

  const last = moments.length - 1;
  const box = { left: LEFT + GAP, right: width - 2 * GAP, top: 20 + pitch + 14, bottom: 20 + pitch + HEIGHT };
  const values = moments.map(({ logProb }) => logProb);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const column = (i: number): number => box.left + (i / Math.max(1, last)) * (box.right - box.left);
  const row = (value: number): number =>
    high === low
      ? (box.top + box.bottom) / 2
      : box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);

  for (let c = 0; c < columns; c++) {
    const i = Math.round((c / Math.max(1, columns - 1)) * last);
    const left = LEFT + GAP + c * pitch;
    canvas.paste(moments[i].image, left, 20, scale);
    canvas.line([left + (scale * side) / 2, 20 + scale * side], [column(i), box.top], GRID, 1);
    canvas.line([column(i), box.top], [column(i), box.bottom], GRID, 1);
  }
  for (const value of new Set([low, high])) {
    canvas.line([box.left, row(value)], [box.right, row(value)], GRID, 1);
    canvas.text(label(value), LEFT, row(value) - 3, "right", INK);
  }
  values.forEach((value, i) => {
    const before = Math.max(0, i - 1);
    canvas.line([column(before), row(values[before])], [column(i), row(value)], CURVE, 1.6);
    canvas.line([column(i), row(value)], [column(i), row(value)], CURVE, 3);
  });
  canvas.text("log p of each chunk, nats", box.right, box.bottom + 8, "right", INK);
  return canvas.png();
}
