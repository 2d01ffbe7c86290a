/** A sort and its gradient as plain code, in few steps: their formulas compare every number with every other. */
import type { Ready, TensorView } from "../../device.ts";
import type { Order } from "../../ops/argsort.ts";
import type { Along } from "../../ops/gather.ts";
import { sizeOf } from "../../shape.ts";

/** Where each row along an axis starts, and how far apart its numbers are. */
function rowsAlong(x: TensorView, axis: number): { starts: number[]; length: number; step: number } {
  const step = sizeOf(x.shape.slice(axis + 1));
  const length = x.shape[axis];
  const starts = Array.from(
    { length: x.size / length },
    (_, row) => Math.floor(row / step) * length * step + (row % step),
  );
  return { starts, length, step };
}

/** N log N comparisons a row. */
export function sortedPlaces(out: TensorView, x: TensorView, { axis, descending }: Order): Ready {
  const { starts, length, step } = rowsAlong(x, axis);
  const sign = descending ? -1 : 1;
  const order = new Int32Array(length);
  return () => {
    const [to, from] = [out.data, x.data];
    for (const start of starts) {
      const before = (i: number, j: number): number => {
        const [a, b] = [from[start + i * step], from[start + j * step]];
        if (a < b) return -sign;
        if (b < a) return sign;
        return sign * (Number(Number.isNaN(a)) - Number(Number.isNaN(b))) || i - j;
      };
      for (let i = 0; i < length; i++) order[i] = i;
      order.sort(before);
      for (let i = 0; i < length; i++) to[start + i * step] = order[i];
    }
  };
}

/** One addition a number, in the order of the ids. */
export function scattered(out: TensorView, x: TensorView, ids: TensorView, { axis }: Along): Ready | null {
  if (out.dtype !== "float32") return null;
  const from = rowsAlong(x, axis);
  const to = rowsAlong(out, axis);
  return () => {
    const [sums, numbers, places] = [out.data, x.data, ids.data];
    sums.fill(0);
    from.starts.forEach((start, row) => {
      for (let k = 0; k < from.length; k++) {
        const at = start + k * from.step;
        sums[to.starts[row] + places[at] * to.step] += numbers[at];
      }
    });
  };
}
