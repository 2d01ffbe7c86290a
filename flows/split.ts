import { checkInteger, concat, refuse, showShape, Tensor } from "../core/index.ts";

/**
 * How a coupling layer divides its input into the part it keeps and the part it changes: within each sample, so that
 * `join(...apart(x))` is x.
 */
export interface Split {
  apart(x: Tensor): readonly [kept: Tensor, changed: Tensor];
  join(kept: Tensor, changed: Tensor): Tensor;
}

/**
 * Keeps the first ⌊N/2⌋ entries along an axis and changes the rest: of one entry it keeps nothing. Axis 0 is the batch.
 */
export function halves(axis = 1): Split {
  checkInteger(axis, 1, "halves", "axis");
  return {
    apart(x) {
      if (axis >= x.shape.length)
        throw new Error(`halves: expected an axis ${axis} to split, got a batch ${showShape(x.shape)}`);
      const N = x.shape[axis];
      const half = Math.floor(N / 2);
      return [x.slice(axis, 0, half), x.slice(axis, half, N)];
    },
    join: (kept, changed) => concat([kept, changed], axis),
  };
}

/**
 * Keeps the entries along axis 1 whose numbers are given and changes the others, in ascending order.
 * `length` is how many there are. Throws for a number outside or twice, and later for batches of another length.
 */
export function keeping(kept: readonly number[], length: number): Split {
  checkInteger(length, 1, "keeping", "length");
  const odd = kept.find((i, at) => !(Number.isInteger(i) && i >= 0 && i < length) || kept.indexOf(i) !== at);
  if (odd !== undefined)
    throw new Error(`keeping: expected different numbers below ${length}, got ${kept.join(", ")}`);
  const changed = Array.from({ length }, (_, i) => i).filter((i) => !kept.includes(i));
  const order = [...kept, ...changed];
  const back = order.map((_, i) => order.indexOf(i));
  return {
    apart(x) {
      checkLength(x, length, "keeping");
      return [takeSlices(x, indices(kept)), takeSlices(x, indices(changed))];
    },
    join(a, b) {
      checkLength(a, kept.length, "keeping: kept part");
      checkLength(b, changed.length, "keeping: changed part");
      return takeSlices(concat([a, b], 1), indices(back));
    },
  };
}

/** Throws unless x is (B, length, …): of more entries some would be dropped without a word. */
export function checkLength(x: Tensor, length: number, who: string): void {
  if (x.shape[1] !== length)
    throw new Error(`${who}: expected a batch of ${length} entries along axis 1, got ${showShape(x.shape)}`);
}

/** Keeps every other entry along axis 1: the even ones, or the odd ones. The checkerboard of NICE and RealNVP. */
export function alternating(length: number, { even }: { even: boolean }): Split {
  if (typeof even !== "boolean") refuse("alternating", "even to be true or false", even);
  checkInteger(length, 1, "alternating", "length");
  return keeping(
    Array.from({ length }, (_, i) => i).filter((i) => (i % 2 === 0) === even),
    length,
  );
}

const indices = (list: readonly number[]): Tensor => Tensor.from(list, [list.length], "int32");

/** y[:, i] = x[:, order[i]]: (B, N, …) → (B, M, …) for M entry numbers, int32 (M). */
export function takeSlices(x: Tensor, order: Tensor): Tensor {
  const [B, N, ...rest] = x.shape;
  const swapped = [1, 0, ...rest.map((_, i) => i + 2)];
  const rows = x.permute(swapped).reshape([N, x.size / N]); // one row per entry
  return rows
    .gatherRows(order)
    .reshape([order.size, B, ...rest])
    .permute(swapped);
}
