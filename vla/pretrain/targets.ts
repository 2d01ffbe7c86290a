import type { Labelled } from "./labelled-set.ts";
import { THINGS } from "./named-things.ts";

/** Maps of tokens that things are looked for in: one per camera and thing, cameras in turn. */
export const MAPS = 2 * THINGS.length;

/** In tokens from the bottom left corner of a map: token (column, row) covers [column, column + 1) × [row, row + 1). */
export type MapPoint = readonly [x: number, y: number];

/**
 * Where each map shows its thing; null where its picture does not.
 *
 * @param shifts how the pictures were moved, (dx, dy) per camera, whole pixels of a picture of side `imageSize`
 * @param side of the map, tokens
 */
export function pointsOf(
  { tasks, state }: Labelled,
  task: number,
  shifts: ArrayLike<number>,
  imageSize: number,
  side: number,
): (MapPoint | null)[] {
  const points = tasks[task].labels.points(state);
  return Array.from({ length: MAPS }, (_, map) => {
    const camera = Math.floor(map / THINGS.length);
    const [x, y] = [0, 1].map(
      (axis) => side * (points[2 * map + axis] - shifts[2 * camera + axis] / imageSize),
    );
    const isInside = x >= 0 && x < side && y >= 0 && y < side; // NaN is not
    return isInside ? [x, y] : null;
  });
}

/**
 * Shares of the tokens of a map (N), row by row, for a point: those of the four whose centres are around it, by how
 * near they are along each axis. So their mean is the point, and things that stand in one token are told apart.
 */
export function writeShares([x, y]: MapPoint, side: number, out: Float32Array): void {
  const along = (at: number): [token: number, share: number][] => {
    const low = Math.floor(at - 0.5);
    const share = at - 0.5 - low;
    const inside = (token: number): number => Math.min(side - 1, Math.max(0, token)); // at the border the outermost has all
    return [
      [inside(low), 1 - share],
      [inside(low + 1), share],
    ];
  };
  for (const [row, high] of along(y))
    for (const [column, wide] of along(x)) out[row * side + column] += high * wide;
}

/** Where a map of likelihoods (N) points: the mean of the tokens about the likeliest one. */
export function pointOf(likelihoods: ArrayLike<number>, side: number): MapPoint {
  let best = 0;
  for (let token = 0; token < likelihoods.length; token++)
    if (likelihoods[token] > likelihoods[best]) best = token;
  const [column, row] = [best % side, Math.floor(best / side)];
  let [sum, x, y] = [0, 0, 0];
  for (let r = Math.max(0, row - 1); r <= Math.min(side - 1, row + 1); r++)
    for (let c = Math.max(0, column - 1); c <= Math.min(side - 1, column + 1); c++) {
      const weight = likelihoods[r * side + c];
      sum += weight;
      x += weight * (c + 0.5);
      y += weight * (r + 0.5);
    }
  return [x / sum, y / sum];
}
