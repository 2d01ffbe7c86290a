import type { Labelled } from "./labelled-set.ts";
import { THINGS } from "./named-things.ts";

/** Maps of tokens that things are looked for in: one per camera and thing. */
export const MAPS = 2 * THINGS.length;

/**
 * Which token of each map shows a thing, −1 where its picture does not: cameras in turn, things within. Tokens are
 * numbered as the map has them, row 0 the bottom row.
 *
 * @param shifts how the pictures were moved, (dx, dy) per camera, whole pixels of a picture of side `imageSize`
 * @param side of the map
 */
export function tokensOf(
  { tasks, state }: Labelled,
  task: number,
  shifts: ArrayLike<number>,
  imageSize: number,
  side: number,
): number[] {
  const points = tasks[task].labels.points(state);
  return Array.from({ length: MAPS }, (_, map) => {
    const camera = Math.floor(map / THINGS.length);
    const [column, row] = [0, 1].map((axis) => {
      const pixels = points[2 * map + axis] * imageSize - shifts[2 * camera + axis];
      return Math.floor((pixels / imageSize) * side);
    });
    const isInside = column >= 0 && column < side && row >= 0 && row < side; // NaN is not
    return isInside ? row * side + column : -1;
  });
}
