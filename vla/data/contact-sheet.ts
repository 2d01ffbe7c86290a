import { encode } from "fast-png";
import type { Image } from "../observation.ts";
import type { Episode } from "./demonstrations.ts";

/** Pixels between pictures, and their grey. */
const GAP = 4;
const GREY = 255;

/**
 * A PNG with a row per episode and camera: `columns` moments from the first step to the last, upright (row 0 of
 * observations is the bottom). All pictures must have one size.
 */
export function contactSheet(episodes: readonly Episode[], columns: number): Uint8Array {
  const rows = episodes.flatMap((episode) => {
    const seen = Array.from({ length: columns }, (_, i) =>
      episode.observation(Math.round((i / Math.max(1, columns - 1)) * (episode.length - 1))),
    );
    return [seen.map((one) => one.agentview_image), seen.map((one) => one.robot0_eye_in_hand_image)];
  });
  const [H, W] = rows[0][0].shape;
  const width = columns * (W + GAP) + GAP;
  const height = rows.length * (H + GAP) + GAP;
  const data = new Uint8Array(3 * width * height).fill(GREY);
  rows.forEach((pictures, row) => {
    pictures.forEach((picture, column) => {
      paste(picture, (GAP + row * (H + GAP)) * width + GAP + column * (W + GAP));
    });
  });
  return encode({ width, height, data, channels: 3, depth: 8 });

  function paste(picture: Image, corner: number): void {
    if (picture.shape[0] !== H || picture.shape[1] !== W)
      throw new Error(`contactSheet: expected pictures of ${H} x ${W}, got ${picture.shape.join(" x ")}`);
    for (let y = 0; y < H; y++)
      for (let x = 0; x < W; x++)
        for (let c = 0; c < 3; c++) data[3 * (corner + y * width + x) + c] = picture.get(H - 1 - y, x, c);
  }
}
