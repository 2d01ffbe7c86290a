import { type Random, sizeOf, Tensor } from "../../core/index.ts";
import type { Interval } from "../bijector.ts";

/** Numbers near the mode, far out (30 to 60), next to zero, and exactly zero. */
const kinds = {
  ordinary: (random: Random) => random.normal(),
  wide: (random: Random) => sign(random) * (30 + 30 * random.uniform()),
  tiny: (random: Random) => 1e-9 * random.normal(),
  zero: () => 0,
  spread: (random: Random) => 3 * random.normal(),
  far: (random: Random) => 1000 * random.normal(),
};
type Kind = keyof typeof kinds;

/**
 * What a batch is made of, row by row, over and over. Determinants are computed at the first rows: an ordinary one, one
 * with entries of every size, and zero.
 */
const ROWS: readonly (readonly Kind[])[] = [
  ["ordinary"],
  ["wide", "ordinary", "zero", "ordinary", "tiny", "ordinary"],
  ["zero"],
  ["wide"],
  ["spread"],
  ["ordinary", "zero"],
  ["tiny"],
  ["far"],
];

/**
 * Points (count, …event) that no map made, float64. Those outside `bounds` are replaced by others inside: for wide
 * ones near its ends.
 */
export function freePoints(
  count: number,
  event: readonly number[],
  random: Random,
  bounds?: Interval,
): Tensor {
  const N = sizeOf(event);
  const data = Float64Array.from({ length: count * N }, (_, i) => {
    const row = ROWS[Math.floor(i / N) % ROWS.length];
    const kind = row[(i % N) % row.length];
    const value = kinds[kind](random);
    return bounds ? inside(value, kind, bounds, random) : value;
  });
  return Tensor.from(data, [count, ...event], "float64");
}

/** Conditions (count, C), float64: ordinary ones, some with entries from 6 to 12, some zero. */
export function freeConditions(count: number, C: number, random: Random): Tensor {
  const data = Float64Array.from({ length: count * C }, (_, i) => {
    const row = Math.floor(i / C) % 6;
    const wide = row === 3 || (row === 1 && i % 2 === 0);
    return row === 2 ? 0 : wide ? sign(random) * (6 + 6 * random.uniform()) : random.normal();
  });
  return Tensor.from(data, [count, C], "float64");
}

function inside(value: number, kind: Kind, [low, high]: Interval, random: Random): number {
  if (value >= low && value <= high && kind !== "ordinary" && kind !== "spread") return value;
  if (!Number.isFinite(low) || !Number.isFinite(high)) return Math.max(low, Math.min(high, value));
  const share = kind === "wide" || kind === "far" ? 0.01 * random.uniform() : random.uniform();
  return value < 0 ? low + share * (high - low) : high - share * (high - low);
}

const sign = (random: Random): number => (random.uniform() < 0.5 ? -1 : 1);
