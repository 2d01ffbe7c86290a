import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { orderOf, streamsOf } from "../../../vla/data/order.ts";

const counts = fc.integer({ min: 1, max: 60 });
const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe("the order of a run", () => {
  test.prop([counts, seeds, fc.nat(1000)])("has every example once per epoch", (count, seed, epoch) => {
    const order = orderOf(count, seed);
    const seen = Array.from({ length: count }, (_, i) => order.at(epoch * count + i));
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test.prop([counts, seeds, fc.array(fc.nat(500), { minLength: 1, maxLength: 20 })])(
    "depends on no history",
    (count, seed, positions) => {
      const order = orderOf(count, seed);
      for (const position of positions) expect(order.at(position)).toBe(orderOf(count, seed).at(position));
    },
  );

  test("is another one in each epoch and for each seed", () => {
    const epochs = [1, 2].flatMap((seed) => {
      const order = orderOf(100, seed);
      return [0, 1, 2].map((epoch) =>
        Array.from({ length: 100 }, (_, i) => order.at(100 * epoch + i)).join(),
      );
    });
    expect(new Set(epochs).size).toBe(6);
  });
});

test("each purpose and each position has numbers of its own", () => {
  const draws = ["a", "b"].flatMap((purpose) =>
    [0, 1, 2].map((position) => streamsOf(7, purpose)(position).uint32()),
  );
  expect(new Set(draws).size).toBe(6);
});
